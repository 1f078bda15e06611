//! `admm_step`, `admm_score` and `admm_end` against f64.
use secateur::kernels::*;

use super::LENGTHS;
use crate::common::{Noise, Rig, Tol, U, gpu};

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}

fn agrees(inputs: usize, units: usize, layout: Layout, first: bool) {
    let Some(gpu) = gpu() else { return };
    let len = inputs * units;
    let what = format!("{inputs} x {units}, {layout:?}, first {first}");
    let mut noise = Noise::new(len as u64);
    let [weights, product, dual] = [1.0, 0.5, 0.25].map(|scale| noise.floats(len, scale));
    let mut scale: Vec<f32> = noise.floats(inputs, 1.0).iter().map(|s| 2.0 + s).collect();
    scale[inputs / 2] = 0.0;
    let bits = noise.words(len.div_ceil(32));
    let mut rig = Rig::new(gpu);
    let of = Units::new([inputs as u32, units as u32]).layout(layout);
    let (w, p) = (rig.slot("weights", &weights), rig.slot("product", &product));
    let (d, s) = (rig.slot("dual", &dual), rig.slot("scale", &scale));
    let mask = rig.slot("mask", &bits);
    let (score, difference) = (rig.output("score", len), rig.output("difference", len));
    let on = AdmmOperands { weights: w, scale: s, product: p, dual: d, of, first };
    rig.push(AdmmScore { on, score });
    rig.push(AdmmStep { on, mask, difference });
    rig.push(AdmmEnd { on: AdmmOperands { first: false, ..on }, mask });
    let bench = rig.run();

    let at = |i: usize| match layout {
        Layout::InOut => i,
        Layout::OutIn => i % units * inputs + i / units,
    };
    let keeps = |i: usize| bit(&bits, at(i));
    let target: Vec<f64> =
        (0..len).map(|i| f64::from(scale[i / units]) * f64::from(weights[i])).collect();
    let zeros = vec![0.0; len];
    let before = |x: &[f32]| if first { zeros.clone() } else { wide(x) };
    let (old, mut new) = (before(&dual), before(&dual));
    let given = before(&product);
    let v: Vec<f64> = (0..len).map(|i| target[i] + given[i] + old[i]).collect();
    // Four roundings of numbers below 4, and twice that of a difference.
    let near = vec![4.0 * 4.0 * U; len];
    let check = |tol: &[f64], got: &[f32], want: &[f64], which: &str| {
        Tol::Within(tol).check(got, want).unwrap_or_else(|e| panic!("{what}, {which}: {e}"));
    };
    let got: Vec<f32> = bench.read(score);
    let scores: Vec<f32> = (0..len).map(|i| got[at(i)]).collect();
    check(&near, &scores, &v.iter().map(|v| v.abs()).collect::<Vec<_>>(), "score");
    let [_, want] = admm_step_reference(&target, &given, &mut new, keeps);
    check(&near, &bench.read::<f32>(d), &new, "dual");
    check(&vec![8.0 * 4.0 * U; len], &bench.read::<f32>(difference), &want, "difference");
    let end = |i: usize| {
        let scale = f64::from(scale[i / units]);
        let moved = f64::from(weights[i]) + (f64::from(product[i]) + new[i]) / scale;
        if keeps(i) && scale > 0.0 { moved } else { 0.0 }
    };
    let ends: Vec<f64> = (0..len).map(end).collect();
    // What the step left of the dual is off, too; scales are 1 at least.
    check(&vec![8.0 * 4.0 * U; len], &bench.read::<f32>(w), &ends, "end");
}

#[test]
fn steps_agree() {
    for layout in [Layout::InOut, Layout::OutIn] {
        for first in [false, true] {
            LENGTHS.into_iter().for_each(|units| agrees(3, units, layout, first));
            for (inputs, units) in [(1, 1), (7001, 3), (257, 65)] {
                agrees(inputs, units, layout, first);
            }
        }
    }
}
