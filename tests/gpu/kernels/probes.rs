//! `copy_probe` and `fma_probe`: what measures an adapter computes what it says.
use secateur::kernels::*;

use super::LENGTHS;
use crate::common::{Noise, Rig, Tol, gpu};

#[test]
fn copies_are_whole() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS.map(|len| len.next_multiple_of(4)) {
        for vectors in [1, 3, 4] {
            let data = Noise::new(len as u64).floats(len, 1.0);
            let mut rig = Rig::new(gpu);
            let (x, out) = (rig.slot("x", &data), rig.output("out", len));
            rig.push(CopyProbe { x, out, len: len as u32, vectors });
            let got: Vec<f32> = rig.run().read(out);
            Tol::Exact.check(&got, &data).unwrap_or_else(|e| panic!("{len}, {vectors}: {e}"));
        }
    }
}

/// Every step of every lane counts one, so each left out shows.
#[test]
fn multiply_adds_are_all_done() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        for (chains, fused) in [(2, true), (4, false), (8, true), (8, false)] {
            for iterations in [1, 7, if len == 257 { 30_000 } else { 2 }] {
                let mut rig = Rig::new(gpu);
                let out = rig.output("out", len);
                rig.push(FmaProbe { out, len: len as u32, iterations, chains, fused });
                let got: Vec<f32> = rig.run().read(out);
                let want = fma_probe_reference(len as u32, iterations, chains);
                let want: Vec<f32> = want.into_iter().map(|v| v as f32).collect();
                Tol::Exact
                    .check(&got, &want)
                    .unwrap_or_else(|e| panic!("{len}, {chains}, {fused}, {iterations}: {e}"));
            }
        }
    }
}

#[test]
fn what_they_cannot_measure_is_refused() {
    let mut plan = secateur::gpu::PlanBuilder::default();
    plan.phase("test");
    let [x, out] = ["x", "out"].map(|name| plan.persistent(name, 64));
    let refused = |message: &str, error: secateur::Result<()>| {
        let error = error.unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    };
    let copy = |len, vectors| CopyProbe { x, out, len, vectors };
    refused("len 6 must be a multiple of 4", plan.push(copy(6, 1)));
    refused("vectors 17 must be 1 to 16", plan.push(copy(8, 17)));
    let fma = |iterations, chains| FmaProbe { out, len: 1, iterations, chains, fused: true };
    refused("chains 3 must be 2, 4 or 8", plan.push(fma(1, 3)));
    refused("30001 must be at most 30000", plan.push(fma(30_001, 2)));
}
