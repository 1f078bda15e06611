//! SparseGPT against NumPy's and against f64.
use secateur::gpu::Gpu;
use secateur::kernels::*;
use secateur::prune::layerwise::{Chosen, Factor, FactorLayout, SparseGpt};
use serde::Deserialize;

use super::{gram_of, inputs, place, stored, unpacked};
use crate::common::{Noise, Rig, Roundings, Tol, U, bounds, gpu};
use crate::paths::golden;

/// What goes: so many weights, or all but n of m.
#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    Pruned(u64),
    Groups(u32, u32),
}

impl What {
    pub(super) fn m(self) -> Option<u32> {
        match self {
            Self::Pruned(_) => None,
            Self::Groups(_, m) => Some(m),
        }
    }
}

pub(super) struct Pruned {
    /// `[inputs, units]`
    pub(super) weights: Vec<f32>,
    /// Whether they stay, likewise.
    pub(super) kept: Vec<bool>,
    state: MaskState,
}

pub(super) fn prune(gpu: &Gpu, weights: &[f32], factor: &[f32], of: Units, what: What) -> Pruned {
    let sizes @ [inputs, units] = [of.inputs, of.units].map(|n| n as usize);
    let mut rig = Rig::new(gpu);
    let slot = rig.slot("weights", &stored(weights, units, of.layout));
    let factor = rig.slot("factor", factor);
    let mask = rig.slot("mask", &Noise::new(9).words((inputs * units).div_ceil(32)));
    let mask_state = rig.slot("mask_state", &[MaskState { nan: 9, ..Default::default() }]);
    let chosen = match what {
        What::Pruned(count) => {
            Chosen::Share { counts: rig.slot("counts", &SparseGpt::counts(of, count)) }
        }
        What::Groups(n, m) => Chosen::Groups { n, m },
    };
    let it = SparseGpt { weights: slot, of, factor, mask, mask_state, chosen };
    it.push(&mut rig.plan, "w").unwrap_or_else(|e| panic!("{e}"));
    let bench = rig.run();
    let (new, bits): (Vec<f32>, Vec<u32>) = (bench.read(slot), bench.read(mask));
    let len = inputs * units;
    assert!(len % 32 == 0 || bits[len / 32] >> (len % 32) == 0, "bits past the end are clear");
    let at = |i| place(sizes, of.layout, i);
    let weights: Vec<f32> = (0..len).map(|i| new[at(i)]).collect();
    let kept: Vec<bool> = (0..len).map(|i| bit(&bits, at(i))).collect();
    let zero = |i: &usize| kept[*i] || weights[*i].to_bits() == 0;
    assert!((0..len).all(|i| zero(&i)), "what goes is 0");
    Pruned { weights, kept, state: bench.read(mask_state)[0] }
}

pub(super) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}

/// The weights that f64 comes to with the same mask, and how far f32 may be off.
fn solved(weights: &[f32], upper: &[f64], inputs: usize, kept: &[bool]) -> [Vec<f64>; 2] {
    let units = weights.len() / inputs;
    let solve = |weights: &[f64], upper: &[f64]| {
        let mut new = weights.to_vec();
        let goes = |j: usize, _: &[f64]| kept[j * units..][..units].iter().map(|k| !k).collect();
        obs_sweep_reference(&mut new, upper, inputs, goes);
        vec![new]
    };
    let exact = solve(&wide(weights), upper);
    // Each weight is a sum of as many terms as there are inputs before it.
    let rounded = |seed| {
        let (mut weights, mut upper) = (wide(weights), upper.to_vec());
        let mut roundings = Roundings::new(seed, inputs + 2);
        [&mut weights, &mut upper].into_iter().for_each(|x| roundings.apply(x));
        let mut new = solve(&weights, &upper);
        roundings.apply(&mut new[0]);
        new
    };
    let bounds = bounds(&exact, rounded).remove(0);
    [exact.into_iter().next().unwrap(), bounds]
}

#[derive(Deserialize)]
struct Golden {
    rows: usize,
    inputs: usize,
    units: usize,
    unseen: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    nm: Option<[u32; 2]>,
    pruned: u64,
    /// A string of an input, a 1 for each unit whose weight stays.
    kept: Vec<String>,
    /// Those that stay.
    weights: Vec<f64>,
}

#[test]
fn numpy_prunes_the_same_weights() {
    let Some(gpu) = gpu() else { return };
    let golden: Golden = serde_json::from_str(&golden("sparse_gpt_numpy.json")).unwrap();
    let Golden { rows, inputs: columns, units, unseen, cases } = golden;
    let mut x = inputs(rows, columns);
    x.chunks_mut(columns).for_each(|row| row[unseen] = 0.0);
    let gram = gram_of(gpu, &x, columns, rows);
    let weights = Noise::new(2).floats(columns * units, 1.0);
    assert_eq!(cases.len(), 5);
    for Case { nm, pruned, kept, weights: want } in cases {
        let what = nm.map_or(What::Pruned(pruned), |[n, m]| What::Groups(n, m));
        let layout = FactorLayout::new(columns as u32, what.m());
        let factor = Factor::new("w", &gram, layout).unwrap();
        assert_eq!((factor.unseen, factor.damping), (1, 0.01));
        let upper = unpacked(&factor.words, layout);
        let kept: Vec<bool> = kept.concat().chars().map(|c| c == '1').collect();
        let [_, bounds] = solved(&weights, &upper, columns, &kept);
        let stay = |x: &[f64]| -> Vec<f64> {
            x.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(x, _)| *x).collect()
        };
        for layout in [Layout::InOut, Layout::OutIn] {
            let of = Units::new([columns as u32, units as u32]).layout(layout);
            let got = prune(gpu, &weights, &factor.words, of, what);
            assert!(got.kept == kept, "{what:?} {layout:?}: another mask");
            Tol::Within(&stay(&bounds))
                .check(&stay(&wide(&got.weights)), &want)
                .unwrap_or_else(|e| panic!("{what:?} {layout:?}: {e}"));
            let MaskState { kept: have, nan, .. } = got.state;
            assert_eq!((u64::from(have), nan), ((columns * units) as u64 - pruned, 0));
        }
    }
}

/// Sizes that are no whole blocks; the mask is held against the scores that f64 comes to.
#[test]
fn masks_and_weights_are_those_of_f64() {
    let Some(gpu) = gpu() else { return };
    for (columns, units) in [(1, 1), (5, 33), (127, 31), (128, 1), (129, 40), (300, 70)] {
        let gram = gram_of(gpu, &inputs(2 * columns + 9, columns), columns, 100);
        let weights = Noise::new(columns as u64).floats(columns * units, 1.0);
        let len = (columns * units) as u64;
        let shares = [0, len / 2, len * 9 / 10, len].map(What::Pruned);
        for (at, what) in shares.into_iter().chain([What::Groups(2, 4)]).enumerate() {
            let layout = FactorLayout::new(columns as u32, what.m());
            let factor = Factor::new("w", &gram, layout).unwrap();
            let upper = unpacked(&factor.words, layout);
            let order = if at % 2 == 0 { Layout::OutIn } else { Layout::InOut };
            let of = Units::new([columns as u32, units as u32]).layout(order);
            let got = prune(gpu, &weights, &factor.words, of, what);
            let context = format!("{columns} x {units}, {what:?}");
            let [want, bounds] = solved(&weights, &upper, columns, &got.kept);
            Tol::Within(&bounds)
                .check(&got.weights, &want)
                .unwrap_or_else(|e| panic!("{context}: {e}"));
            let pruned = got.kept.iter().filter(|kept| !**kept).count();
            assert_eq!(got.state.kept as usize + pruned, columns * units, "{context}");
            if let What::Pruned(count) = what {
                assert_eq!(pruned as u64, count, "{context}");
                blocks_lose_their_lowest(&weights, &upper, columns, &got.kept, &context);
            }
        }
    }
}

/// In each block of 128 inputs nothing stays that scores lower, by more than f32 may be off, than
/// what goes.
fn blocks_lose_their_lowest(
    weights: &[f32],
    upper: &[f64],
    inputs: usize,
    kept: &[bool],
    context: &str,
) {
    let units = weights.len() / inputs;
    let width = ObsSweep::MOST as usize;
    // Scores are sums of as many terms as there are inputs; these add up to some four times the
    // largest score here.
    let near = 16.0 * U * (inputs as f64).sqrt();
    obs_sweep_reference(&mut wide(weights), upper, inputs, |j, now| {
        if j % width == 0 {
            let block = j * units..inputs.min(j + width) * units;
            let score = |i: usize| now[i].abs() / upper[i / units * (inputs + 1)];
            let highest = block.clone().filter(|&i| !kept[i]).map(score).fold(0.0, f64::max);
            let lowest = block.filter(|&i| kept[i]).map(score).fold(f64::INFINITY, f64::min);
            let most = lowest * (1.0 + near) + near;
            assert!(highest <= most, "{context}: {highest} goes, {lowest} stays in block {j}");
        }
        kept[j * units..][..units].iter().map(|kept| !kept).collect()
    });
}

#[test]
fn counts_add_up() {
    for (inputs, units) in [(1, 1), (127, 5), (128, 5), (129, 3), (11_008, 4_096)] {
        let of = Units::new([inputs, units]);
        for pruned in [0, 1, of.len() / 3, of.len() - 1, of.len()] {
            let counts = SparseGpt::counts(of, pruned);
            assert_eq!(counts.iter().map(|&c| u64::from(c)).sum::<u64>(), pruned);
            let mut left = inputs;
            for &count in &counts {
                let own = left.min(128);
                assert!(count <= own * units, "{count} of a block of {own} x {units}");
                left -= own;
            }
        }
    }
}

#[test]
fn nan_is_counted() {
    let Some(gpu) = gpu() else { return };
    let gram: Vec<f32> = (0..25).map(|i| f32::from(i % 6 == 0)).collect();
    let of = Units::new([5, 2]);
    for what in [What::Pruned(3), What::Groups(2, 4)] {
        let factor = Factor::new("w", &gram, FactorLayout::new(5, what.m())).unwrap();
        let mut weights = vec![1.0; 10];
        weights[7] = f32::NAN;
        assert_eq!(prune(gpu, &weights, &factor.words, of, what).state.nan, 1);
    }
}

#[test]
fn a_short_factor_is_refused_by_name() {
    let mut plan = secateur::gpu::PlanBuilder::default();
    plan.phase("test");
    let of = Units::new([129, 2]);
    let slot = |plan: &mut secateur::gpu::PlanBuilder, words| plan.persistent("slot", words);
    let need = FactorLayout::new(129, Some(4)).words() as u32;
    assert_eq!(need, 128 * 129 + 1);
    let [weights, mask, mask_state] = [258, 9, 4].map(|words| slot(&mut plan, words));
    let chosen = Chosen::Groups { n: 2, m: 4 };
    for (words, fits) in [(need, true), (need - 1, false)] {
        let factor = slot(&mut plan, words);
        let it = SparseGpt { weights, of, factor, mask, mask_state, chosen };
        let result = it.push(&mut plan, "fc1.weight");
        assert_eq!(result.is_ok(), fits);
        let Err(e) = result else { continue };
        let want = "`fc1.weight`: the factor of 129 inputs takes 16513 words, it has 16512";
        assert_eq!(e.to_string(), want);
    }
}

#[test]
fn what_cannot_be_is_refused() {
    let mut plan = secateur::gpu::PlanBuilder::default();
    plan.phase("test");
    let slot = plan.persistent("slot", 1 << 16);
    let [weights, factor, mask, mask_state] = [slot; 4];
    let mut refused = |sizes, m: u32| {
        let (of, chosen) = (Units::new(sizes), Chosen::Groups { n: 2, m });
        let it = SparseGpt { weights, of, factor, mask, mask_state, chosen };
        it.push(&mut plan, "fc1.weight").unwrap_err().to_string()
    };
    for m in [0, 1, 2, 33, 200] {
        let message = refused([129, 2], m);
        assert!(message.starts_with(&format!("obs_sweep: 2 of {m} stay")), "{message}");
    }
    let want = "`fc1.weight`: 65536 x 65536 weights, it takes 4294967295";
    assert_eq!(refused([1 << 16; 2], 4), want);
}
