//! `obs_score` and `obs_sweep`: one block of inputs.
use secateur::kernels::*;

use super::LENGTHS;
use crate::common::{Noise, Rig, Roundings, Tol, bounds, gpu};

/// A triangle `[count, count]` with a strong diagonal, rubbish below it, and 0 at `unseen`.
fn triangle(count: usize, unseen: Option<usize>) -> Vec<f32> {
    let noise = Noise::new(7).floats(count * count, 0.1);
    let at = |(at, noise): (usize, f32)| {
        let (i, j) = (at / count, at % count);
        let dead = unseen.is_some_and(|u| u == i || u == j);
        match i.cmp(&j) {
            std::cmp::Ordering::Less if dead => 0.0,
            std::cmp::Ordering::Less => noise / (1.0 + (j - i) as f32),
            std::cmp::Ordering::Equal if dead => 0.0,
            std::cmp::Ordering::Equal => 0.5 + noise.abs(),
            std::cmp::Ordering::Greater => f32::NAN,
        }
    };
    noise.into_iter().enumerate().map(at).collect()
}

#[test]
fn scores_are_weights_over_roots() {
    let Some(gpu) = gpu() else { return };
    for (units, count) in LENGTHS.map(|len| (len, 3)).into_iter().chain([(65, 128), (3, 1)]) {
        let first = 2;
        let weights = Noise::new(units as u64).floats((first + count) * units, 1.0);
        let (u, before) = (triangle(count, Some(1)), vec![9.0f32; 5]);
        let mut rig = Rig::new(gpu);
        let slots = [&weights[..], &[before, u.clone()].concat()].map(|x| rig.slot("x", x));
        let score = rig.output("score", count * units);
        let block = InputBlock { first: first as u32, count: count as u32, diagonal: 5 };
        let [weight, factor] = slots;
        rig.push(ObsScore { weights: weight, factor, score, units: units as u32, block });
        let got: Vec<f32> = rig.run().read(score);
        let want = obs_score_reference(&weights[first * units..], &u, count);
        // One division, which WGSL gives 2.5 units.
        Tol::Ulp(3).check(&got, &want).unwrap_or_else(|e| panic!("{count} x {units}: {e}"));
    }
}

/// One block in a matrix that has inputs before it and behind it.
struct Case {
    layout: Layout,
    inputs: usize,
    units: usize,
    first: usize,
    count: usize,
    groups: Option<[u32; 2]>,
}

fn sweeps(case: &Case) {
    let Some(gpu) = gpu() else { return };
    let &Case { layout, inputs, units, first, count, groups } = case;
    let what = format!("{inputs} x {units} from {first}, {count}, {groups:?}, {layout:?}");
    let len = inputs * units;
    let weights = Noise::new(len as u64).floats(len, 1.0);
    let u = triangle(count, (count > 4).then_some(3));
    let selected = Noise::new(3).words((count * units).div_ceil(32));
    // Whatever was in the mask: bits of other blocks stay, those past the end go.
    let old = Noise::new(4).words(len.div_ceil(32));
    let mut rig = Rig::new(gpu);
    let factor = rig.slot("factor", &u);
    let (slot, mask) = (rig.slot("weights", &weights), rig.slot("mask", &old));
    let bits = rig.slot("selected", &selected);
    let errors = rig.output("errors", count * units);
    let mask_state = rig.slot("mask_state", &[MaskState { threshold: 5, ..Default::default() }]);
    let goes = groups.map_or(Goes::Clear(bits), |[n, m]| Goes::Groups { n, m });
    let of = Units::new([inputs as u32, units as u32]).layout(layout);
    let block = InputBlock { first: first as u32, count: count as u32, diagonal: 0 };
    rig.push(ObsSweep { factor, goes, weights: slot, errors, mask, mask_state, of, block });
    let bench = rig.run();

    let new: Vec<u32> = bench.read(mask);
    let at = |input: usize, unit: usize| match layout {
        Layout::InOut => input * units + unit,
        Layout::OutIn => unit * inputs + input,
    };
    let kept = |j: usize, unit: usize| bit(&new, at(first + j, unit));
    if groups.is_none() {
        let wrong = (0..count * units).find(|&i| kept(i / units, i % units) != bit(&selected, i));
        assert_eq!(wrong, None, "{what}: the mask is what was selected");
    }
    let others = (0..len).filter(|&i| !(first..first + count).contains(&(i / units)));
    let moved = others.clone().find(|&i| {
        let i = at(i / units, i % units);
        bit(&new, i) != bit(&old, i)
    });
    assert_eq!(moved, None, "{what}: bits of other blocks stay");
    if first + count == inputs && len % 32 > 0 {
        assert_eq!(new[len / 32] >> (len % 32), 0, "{what}: bits past the end");
    }

    let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<f64>>();
    let own = wide(&weights[first * units..][..count * units]);
    let solve = |weights: &[f64], u: &[f64]| {
        let (mut new, mut errors) = (weights.to_vec(), vec![0.0; count * units]);
        obs_sweep_reference(&mut new, u, count, |j, now| {
            let goes: Vec<bool> = (0..units).map(|r| !kept(j, r)).collect();
            for r in (0..units).filter(|&r| goes[r] && u[j * count + j] > 0.0) {
                errors[j * units + r] = -now[j * units + r] / u[j * count + j];
            }
            goes
        });
        vec![new, errors]
    };
    let exact = solve(&own, &wide(&u));
    // Each weight is a sum of as many terms as there are inputs before it.
    let rounded = |seed| {
        let (mut own, mut u) = (own.clone(), wide(&u));
        let mut roundings = Roundings::new(seed, count + 2);
        [&mut own, &mut u].into_iter().for_each(|x| roundings.apply(x));
        let mut new = solve(&own, &u);
        new.iter_mut().for_each(|x| roundings.apply(x));
        new
    };
    let bounds = bounds(&exact, rounded);
    let got: Vec<f32> = bench.read(slot);
    let block_of_it = &got[first * units..][..count * units];
    Tol::Within(&bounds[0]).check(block_of_it, &exact[0]).unwrap_or_else(|e| panic!("{what}: {e}"));
    let errors: Vec<f32> = bench.read(errors);
    Tol::Within(&bounds[1]).check(&errors, &exact[1]).unwrap_or_else(|e| panic!("{what}: {e}"));
    let wrong = others.clone().find(|&i| got[i].to_bits() != weights[i].to_bits());
    assert_eq!(wrong, None, "{what}: weights of other blocks stay");
    let all = || (0..count).flat_map(|j| (0..units).map(move |unit| (j, unit)));
    let zero = |&(j, unit): &(usize, usize)| got[(first + j) * units + unit].to_bits() == 0;
    assert!(all().all(|at| kept(at.0, at.1) || zero(&at)), "{what}: what goes is 0");

    let count_of =
        |f: &dyn Fn(usize, usize) -> bool| all().filter(|&(j, r)| f(j, r)).count() as u32;
    let want = MaskState {
        kept: count_of(&|j, r| kept(j, r)),
        changed: count_of(&|j, r| kept(j, r) != bit(&old, at(first + j, r))),
        nan: 0,
        threshold: 5,
    };
    assert_eq!(bench.read::<MaskState>(mask_state), [want], "{what}");
    let Some([n, m]) = groups.map(|g| g.map(|x| x as usize)) else { return };
    // Of each group the n that score highest by then: two that f32 cannot tell apart may change.
    let u = wide(&u);
    obs_sweep_reference(&mut own.clone(), &u, count, |j, now| {
        if j % m == 0 {
            for unit in 0..units {
                let end = count.min(j + m);
                let score = |k: usize| {
                    let root = u[k * count + k];
                    if root > 0.0 { (now[k * units + unit] / root).abs() } else { 0.0 }
                };
                let near = |k: usize| 2.0 * bounds[1][k * units + unit];
                let stay: Vec<usize> = (j..end).filter(|&k| kept(k, unit)).collect();
                assert_eq!(stay.len(), n.min(end - j), "{what}: group of {j}, unit {unit}");
                for k in (j..end).filter(|k| !stay.contains(k)) {
                    let wrong = stay.iter().find(|&&s| score(s) + near(s) + near(k) < score(k));
                    assert_eq!(wrong, None, "{what}: {k} of unit {unit} goes");
                }
            }
        }
        (0..units).map(|unit| !kept(j, unit)).collect()
    });
}

#[test]
fn a_block_makes_up_for_what_goes() {
    for layout in [Layout::InOut, Layout::OutIn] {
        for units in LENGTHS {
            let groups = None;
            sweeps(&Case { layout, inputs: 9, units, first: 2, count: 5, groups });
        }
        for (inputs, units, first, count) in
            [(1, 1, 0, 1), (128, 33, 0, 128), (257, 3, 128, 128), (200, 40, 128, 72), (9, 31, 0, 9)]
        {
            sweeps(&Case { layout, inputs, units, first, count, groups: None });
        }
    }
}

#[test]
fn groups_are_chosen_as_the_sweep_comes_to_them() {
    for layout in [Layout::InOut, Layout::OutIn] {
        for groups in [[2, 4], [1, 2], [3, 5], [1, 32], [31, 32], [4, 8]] {
            let m = groups[1] as usize;
            let (first, count) = (2 * m, ObsSweep::width(Some(groups[1])) as usize);
            for (inputs, units, count) in [(first + count, 33, count), (first + 45, 7, 45)] {
                sweeps(&Case { layout, inputs, units, first, count, groups: Some(groups) });
            }
        }
    }
}

#[test]
fn equal_scores_leave_the_first() {
    let Some(gpu) = gpu() else { return };
    let (inputs, units) = (8, 2);
    let mut rig = Rig::new(gpu);
    let identity: Vec<f32> = (0..64).map(|i| f32::from(i % 9 == 0)).collect();
    let factor = rig.slot("factor", &identity);
    let weights = rig.slot("weights", &[0.5f32, -0.5].repeat(8));
    let (mask, errors) = (rig.slot("mask", &[0u32]), rig.output("errors", 16));
    let mask_state = rig.slot("mask_state", &[MaskState::default()]);
    let of = Units::new([inputs, units]);
    let block = InputBlock { first: 0, count: inputs, diagonal: 0 };
    let goes = Goes::Groups { n: 1, m: 4 };
    rig.push(ObsSweep { factor, goes, weights, errors, mask, mask_state, of, block });
    let bench = rig.run();
    assert_eq!(bench.read::<u32>(mask), [0b11_0000_0011]);
    let want = [0.5f32, -0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0].repeat(2);
    assert_eq!(bench.read::<f32>(weights), want);
}

#[test]
fn nan_is_counted() {
    let Some(gpu) = gpu() else { return };
    let mut rig = Rig::new(gpu);
    let factor = rig.slot("factor", &[1.0f32, 0.0, 0.0, 0.0]);
    let weights = rig.slot("weights", &[f32::NAN, 1.0, 2.0, f32::NAN]);
    let (mask, errors) = (rig.slot("mask", &[0u32]), rig.output("errors", 4));
    let mask_state = rig.slot("mask_state", &[MaskState::default()]);
    let block = InputBlock { first: 0, count: 2, diagonal: 0 };
    let (of, goes) = (Units::new([2, 2]), Goes::Groups { n: 1, m: 2 });
    rig.push(ObsSweep { factor, goes, weights, errors, mask, mask_state, of, block });
    assert_eq!(rig.run().read::<MaskState>(mask_state)[0].nan, 2);
}
