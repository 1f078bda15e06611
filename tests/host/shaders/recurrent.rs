//! The kernels of recurrent layers in every variant.
use secateur::gpu::{PlanBuilder, Slot};
use secateur::kernels::*;

/// The variants of what recurrent layers are made of.
pub fn variants(plan: &mut PlanBuilder, [a, b, mask, c]: [Slot; 4]) {
    let (one, at) = (Strides { begin: 0, outer: 1, inner: 1 }, Stride { begin: 0, stride: 1 });
    let mut moved = Rearrange::new([a, c], [1; 3], [one, one]);
    (moved.limit, moved.adds, moved.resumes) = (Some(1.0), true, Some(b));
    plan.push(moved).unwrap();
    let step = LstmStep { rows: 1, units: 1, time: 0, forget_bias: 1.0, clip: Some(1.0) };
    let [gates, cells, carry] = ["gates", "cells", "carry"].map(|n| plan.persistent(n, 16));
    let (peepholes, recurrent) = (Some(b), Some((mask, at)));
    plan.push(Lstm { step, peepholes, gates, cells, out: c, to: at }).unwrap();
    let (gradient, from, last, out) = (a, at, true, c);
    plan.push(LstmGradient {
        step,
        gradient,
        from,
        recurrent,
        gates,
        cells,
        peepholes,
        carry,
        last,
        out,
    })
    .unwrap();
    let (rows, width, time, clip, projected) = (1, 1, 0, Some(1.0), b);
    plan.push(ProjectionGradient {
        rows,
        width,
        time,
        clip,
        gradient,
        from,
        recurrent,
        projected,
        out,
    })
    .unwrap();
    let weights = StateWeights { values: b, mask: Some(mask), width: 1 };
    let projected = plan.persistent("projected", 16);
    plan.push(LstmProduct {
        step,
        weights,
        peepholes: Some(a),
        projected: Some(projected),
        from: at,
        outputs: 1,
        gates,
        cells,
        out: c,
        to: at,
    })
    .unwrap();
    let (from, peepholes) = (at, Some(projected));
    plan.push(LstmGradientProduct {
        step,
        weights,
        gradient,
        from,
        gates,
        cells,
        peepholes,
        carry,
        out,
    })
    .unwrap();
    let step = GruStep { rows: 1, units: 1, width: 1, length: 2, time: 0 };
    let (candidates, inputs) = (cells, b);
    for recurrent in [None, Some(mask)] {
        let (of_gates, of_candidates) = (c, a);
        let gradient = plan.persistent("gradient", 2);
        plan.push(GruGradient {
            step,
            gradient,
            recurrent,
            gates,
            candidates,
            inputs,
            carry,
            of_gates,
            of_candidates,
        })
        .unwrap();
    }
    let [gradient, of_gates] = ["gradient", "of_gates"].map(|name| plan.persistent(name, 16));
    let (resets, of_candidates) = (a, c);
    plan.push(GruResetProduct { step, weights, inputs: gradient, gates, resets }).unwrap();
    let inputs = gradient;
    plan.push(GruProduct { step, weights, resets, gates, candidates, inputs }).unwrap();
    plan.push(GruGradientProduct {
        step,
        weights,
        gates,
        candidates,
        inputs,
        carry,
        of_gates,
        of_candidates,
    })
    .unwrap();
    let gradient = a;
    plan.push(GruResetGradientProduct {
        step,
        weights,
        gradient,
        gates,
        inputs,
        of_candidates,
        carry,
        of_gates,
    })
    .unwrap();
}
