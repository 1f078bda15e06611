//! ADMM against least squares, and against SparseGPT.
use secateur::gpu::Gpu;
use secateur::kernels::*;
use secateur::prune::layerwise::{Admm, Factor, FactorLayout, Kept, Multipliers};

use super::sparse_gpt::{What, prune, wide};
use super::{gram_of, inputs, place, stored};
use crate::common::{Noise, Rig, Roundings, Tol, bounds, gpu};

/// A mask to hold, or how many weights a growing one is to prune.
enum Masked<'a> {
    Held(&'a [bool]),
    Grown(u32),
}

/// The weights `[inputs, units]`, and whether they stay.
fn updated(
    gpu: &Gpu,
    weights: &[f32],
    by: &Multipliers,
    of: Units,
    (masked, steps): (Masked<'_>, u32),
) -> (Vec<f32>, Vec<bool>) {
    let sizes @ [inputs, units] = [of.inputs, of.units].map(|n| n as usize);
    let len = inputs * units;
    let at = |i| place(sizes, of.layout, i);
    let mut rig = Rig::new(gpu);
    let slot = rig.slot("weights", &stored(weights, units, of.layout));
    let (inverse, scale) = (rig.slot("inverse", &by.inverse), rig.slot("scale", &by.scale));
    let mut bits = vec![0u32; len.div_ceil(32)];
    let kept = match masked {
        Masked::Held(kept) => {
            (0..len).filter(|&i| kept[i]).for_each(|i| bits[at(i) / 32] |= 1 << (at(i) % 32));
            Kept::Held
        }
        Masked::Grown(pruned) => Kept::Grown {
            counts: rig.slot("counts", &Admm::counts(pruned, Admm::GROWING)),
            steps: Admm::GROWING,
            mask_state: rig.slot("mask_state", &[MaskState::default()]),
        },
    };
    let mask = rig.slot("mask", &bits);
    let it = Admm { weights: slot, of, inverse, scale, mask, kept, steps };
    it.push(&mut rig.plan, "w").unwrap_or_else(|e| panic!("{e}"));
    let bench = rig.run();
    let (new, bits): (Vec<f32>, Vec<u32>) = (bench.read(slot), bench.read(mask));
    let kept: Vec<bool> = (0..len).map(|i| bit(&bits, at(i))).collect();
    let new: Vec<f32> = (0..len).map(|i| new[at(i)]).collect();
    assert!((0..len).all(|i| kept[i] || new[i].to_bits() == 0), "what goes is 0");
    (new, kept)
}

/// `||X (W - W0)||^2` by `gram`.
fn error(gram: &[f32], before: &[f32], after: &[f32], inputs: usize) -> f64 {
    let units = before.len() / inputs;
    let moved =
        |i: usize, r: usize| f64::from(after[i * units + r]) - f64::from(before[i * units + r]);
    let of_unit = |r: usize| {
        let row = |i: usize| -> f64 {
            (0..inputs).map(|j| f64::from(gram[i * inputs + j]) * moved(j, r)).sum()
        };
        (0..inputs).map(|i| moved(i, r) * row(i)).sum::<f64>()
    };
    (0..units).map(of_unit).sum()
}

/// The solution of `a x = b` by elimination, for a positive definite `a`.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Vec<f64> {
    let n = b.len();
    for i in 0..n {
        let (done, below) = a.split_at_mut(i + 1);
        let pivot = &done[i];
        for (k, row) in (i + 1..).zip(below) {
            let by = row[i] / pivot[i];
            row.iter_mut().zip(pivot).for_each(|(x, p)| *x -= by * p);
            b[k] -= by * b[i];
        }
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|j| a[i][j] * b[j]).sum();
        b[i] = (b[i] - known) / a[i][i];
    }
    b
}

/// The weights of least damped error, unit by unit: `H[S, S] w[S] = (H w0)[S]` of what stays.
fn least_squares(
    gram: &[f32],
    weights: &[f32],
    inputs: usize,
    kept: &[bool],
    damping: f64,
) -> Vec<f64> {
    let units = weights.len() / inputs;
    let g = |i: usize, j: usize| {
        let square = f64::from(gram[i * inputs + i]);
        f64::from(gram[i * inputs + j]) + if i == j { damping * square } else { 0.0 }
    };
    let mut best = vec![0.0; weights.len()];
    for r in 0..units {
        let stay: Vec<usize> = (0..inputs).filter(|&i| kept[i * units + r]).collect();
        let a = stay.iter().map(|&i| stay.iter().map(|&j| g(i, j)).collect()).collect();
        let right = |&i: &usize| {
            (0..inputs).map(|j| g(i, j) * f64::from(weights[j * units + r])).sum::<f64>()
        };
        let solution = solve(a, stay.iter().map(right).collect());
        stay.iter().zip(solution).for_each(|(&i, w)| best[i * units + r] = w);
    }
    best
}

/// The same steps in f64.
fn in_f64(weights: &[f64], by: [&[f64]; 2], kept: &[bool], steps: u32) -> Vec<f64> {
    let ([inverse, scale], inputs) = (by, by[1].len());
    let units = weights.len() / inputs;
    let target: Vec<f64> = (0..weights.len()).map(|i| scale[i / units] * weights[i]).collect();
    let (mut product, mut dual) = (vec![0.0; target.len()], vec![0.0; target.len()]);
    for _ in 0..steps {
        let [_, difference] = admm_step_reference(&target, &product, &mut dual, |i| kept[i]);
        for (i, sum) in product.iter_mut().enumerate() {
            let (row, unit) = (i / units * inputs, i % units);
            *sum = (0..inputs).map(|j| inverse[row + j] * difference[j * units + unit]).sum();
        }
    }
    let [end, _] = admm_step_reference(&target, &product, &mut dual, |i| kept[i]);
    (0..end.len()).map(|i| end[i] / scale[i / units]).collect()
}

#[test]
fn many_steps_come_to_least_squares() {
    let Some(gpu) = gpu() else { return };
    let (columns, units, steps, damping) = (45, 5, 400, 0.1);
    let gram = gram_of(gpu, &inputs(2 * columns, columns), columns, 90);
    let weights = Noise::new(5).floats(columns * units, 1.0);
    let kept: Vec<bool> = Noise::new(6).words(columns * units).iter().map(|w| w % 2 == 0).collect();
    let by = Multipliers::new("w", &gram, columns as u32, damping).unwrap();
    let (inverse, scale) = (wide(&by.inverse), wide(&by.scale));
    let exact = vec![in_f64(&wide(&weights), [&inverse, &scale], &kept, steps)];
    let rounded = |seed| {
        let mut given = [wide(&weights), inverse.clone(), scale.clone()];
        let mut roundings = Roundings::new(seed, columns);
        given.iter_mut().for_each(|x| roundings.apply(x));
        let [weights, inverse, scale] = &given;
        vec![in_f64(weights, [inverse, scale], &kept, steps)]
    };
    let bounds = bounds(&exact, rounded).remove(0);
    let best = least_squares(&gram, &weights, columns, &kept, damping);
    // All but what 400 steps have left to go.
    let left = exact[0].iter().zip(&best).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
    assert!(left < 1e-5, "f64 is {left:e} from least squares");
    let bounds: Vec<f64> = bounds.iter().map(|b| b + left).collect();
    for layout in [Layout::InOut, Layout::OutIn] {
        let of = Units::new([columns as u32, units as u32]).layout(layout);
        let (got, _) = updated(gpu, &weights, &by, of, (Masked::Held(&kept), steps));
        Tol::Within(&bounds).check(&got, &best).unwrap_or_else(|e| panic!("{layout:?}: {e}"));
    }
}

#[test]
fn twenty_steps_are_better_than_sparse_gpt() {
    let Some(gpu) = gpu() else { return };
    for (columns, units) in [(147, 20), (64, 33)] {
        let gram = gram_of(gpu, &inputs(3 * columns, columns), columns, columns);
        let weights = Noise::new(8).floats(columns * units, 1.0);
        let of = Units::new([columns as u32, units as u32]).layout(Layout::OutIn);
        let half = (columns * units / 2) as u64;
        let by = Multipliers::new("w", &gram, columns as u32, Factor::DAMPING[0]).unwrap();
        for what in [What::Pruned(half), What::Pruned(half * 8 / 5), What::Groups(2, 4)] {
            let layout = FactorLayout::new(columns as u32, what.m());
            let factor = Factor::new("w", &gram, layout).unwrap();
            let theirs = prune(gpu, &weights, &factor.words, of, what);
            let held = (Masked::Held(&theirs.kept), Admm::STEPS);
            let (ours, kept) = updated(gpu, &weights, &by, of, held);
            assert!(kept == theirs.kept, "the mask is held");
            let [ours, theirs] =
                [&ours, &theirs.weights].map(|new| error(&gram, &weights, new, columns));
            assert!(ours < theirs, "{columns} x {units}, {what:?}: {ours} and {theirs}");
        }
    }
}

#[test]
fn a_mask_grows_to_the_very_count() {
    let Some(gpu) = gpu() else { return };
    let (columns, units) = (100, 33);
    let gram = gram_of(gpu, &inputs(3 * columns, columns), columns, columns);
    let weights = Noise::new(8).floats(columns * units, 1.0);
    let by = Multipliers::new("w", &gram, columns as u32, Multipliers::DAMPING).unwrap();
    let pruned = 1_981;
    assert_eq!(Admm::counts(pruned, 15)[14], pruned);
    // At once: by the length of the input times the weight.
    let score = |i: usize| by.scale[i / units] * weights[i].abs();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|&i, &j| score(i).total_cmp(&score(j)));
    let mut kept = vec![true; weights.len()];
    order[..pruned as usize].iter().for_each(|&i| kept[i] = false);
    let mut before = None;
    for layout in [Layout::InOut, Layout::OutIn] {
        let of = Units::new([columns as u32, units as u32]).layout(layout);
        let at_once = (Masked::Held(&kept), Admm::STEPS);
        let (at_once, _) = updated(gpu, &weights, &by, of, at_once);
        let (grown, kept) = updated(gpu, &weights, &by, of, (Masked::Grown(pruned), Admm::STEPS));
        assert_eq!(kept.iter().filter(|kept| !**kept).count(), pruned as usize);
        let [grown_error, at_once] = [&grown, &at_once].map(|n| error(&gram, &weights, n, columns));
        assert!(grown_error < at_once, "{layout:?}: {grown_error}, at once {at_once}");
        assert!(before.replace(grown.clone()).is_none_or(|b| b == grown), "both layouts agree");
    }
}

#[test]
fn steps_that_cannot_be_are_refused_by_name() {
    let mut plan = secateur::gpu::PlanBuilder::default();
    plan.phase("test");
    let slot = plan.persistent("slot", 64);
    let [weights, inverse, scale, mask, mask_state, counts] = [slot; 6];
    let of = Units::new([2, 2]);
    let grown = |steps| Kept::Grown { counts, steps, mask_state };
    for (kept, steps) in [(Kept::Held, 0), (grown(21), 20)] {
        let it = Admm { weights, of, inverse, scale, mask, kept, steps };
        let message = it.push(&mut plan, "fc1.weight").unwrap_err().to_string();
        assert!(message.starts_with(&format!("`fc1.weight`: {steps} steps, ")), "{message}");
    }
}
