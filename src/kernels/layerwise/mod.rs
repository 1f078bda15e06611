//! Pruning one matrix of weights by the second moments of its inputs.

use super::kernels;

kernels! {
    admm: AdmmEnd(AdmmParams), AdmmScore(AdmmParams), AdmmStep(AdmmParams);
    obs_score: ObsScore(ObsScoreParams);
    obs_sweep: ObsSweep(ObsSweepParams);
}
