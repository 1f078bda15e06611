//! What changes from step to step, and what is done to gradients before an optimizer and to weights
//! after it.

use super::kernels;

kernels! {
    clip_norm: ClipNorm(ClipNormParams);
    clip_value: ClipValue(ClipValueParams);
    gradient_norm: GradientNorm(GradientNormParams);
    lift: Lift(LiftParams);
    pull: Pull(PullParams);
    running_mean: RunningMean(RunningMeanParams);
    settle: Settle(SettleParams);
    step;
    weight_average: WeightAverage(WeightAverageParams);
}
