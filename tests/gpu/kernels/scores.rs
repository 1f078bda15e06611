//! Scores other than plain magnitude, and what they accumulate.
use secateur::gpu::Gpu;
use secateur::kernels::*;

use super::LENGTHS;
use crate::common::{Noise, Rig, Tol, U, gpu};

const INF: f32 = f32::INFINITY;

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

pub fn saliency(gpu: &Gpu, w: &[f32], g: &[f32]) -> Vec<f32> {
    let (len, mut rig) = (w.len(), Rig::new(gpu));
    let (weights, gradient) = (rig.slot("weights", w), rig.slot("gradient", g));
    let score = rig.output("score", len);
    rig.push(Saliency { weights, gradient, score, len: len as u32 });
    rig.run().read(score)
}

#[test]
fn saliency_is_one_rounding_away() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        let mut noise = Noise::new(len as u64);
        let [w, g] = [1.0, 4.0].map(|scale| noise.floats(len, scale));
        let want = saliency_reference(&w, &g);
        let bounds: Vec<f64> = want.iter().map(|s| U * s).collect();
        let got = saliency(gpu, &w, &g);
        Tol::Within(&bounds).check(&got, &want).unwrap_or_else(|e| panic!("{len}: {e}"));
        assert!(got.iter().all(|s| s.is_sign_positive()), "{len}");
        assert_eq!(bits(&got), bits(&saliency(gpu, &w, &g)), "{len}: not the same again");
    }
    let (w, g) = ([f32::NAN, 1.0, -INF, 0.0, -0.0, 2.0], [1.0, f32::NAN, 2.0, INF, 5.0, -3.0]);
    let got = saliency(gpu, &w, &g);
    Tol::Exact.check(&got, &[f32::NAN, f32::NAN, INF, f32::NAN, 0.0, 6.0]).unwrap();
}

fn movement(gpu: &Gpu, w: &[f32], g: &[f32], before: &[f32]) -> Vec<f32> {
    let mut rig = Rig::new(gpu);
    let (weights, gradient) = (rig.slot("weights", w), rig.slot("gradient", g));
    let movement = rig.slot("movement", before);
    rig.push(Movement { weights, gradient, movement, len: w.len() as u32 });
    rig.run().read(movement)
}

#[test]
fn movement_adds_up() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        let mut noise = Noise::new(len as u64);
        let [w, g, m] = [1.0, 4.0, 2.0].map(|scale| noise.floats(len, scale));
        // Product and difference: two roundings, of terms no larger than both together.
        let magnitude =
            |i: usize| f64::from(m[i].abs()) + (f64::from(w[i]) * f64::from(g[i])).abs();
        let bounds: Vec<f64> = (0..len).map(|i| 2.0 * U * magnitude(i)).collect();
        let (got, want) = (movement(gpu, &w, &g, &m), movement_reference(&w, &g, &m));
        Tol::Within(&bounds).check(&got, &want).unwrap_or_else(|e| panic!("{len}: {e}"));
        assert_eq!(bits(&got), bits(&movement(gpu, &w, &g, &m)), "{len}: not the same again");
    }
    // A descent step of -g: away from zero is up, towards zero is down.
    let (w, g) = ([1.0, -1.0, 1.0, -1.0, INF, f32::NAN], [-2.0, 2.0, 2.0, -2.0, 1.0, 1.0]);
    let got = movement(gpu, &w, &g, &[0.5; 6]);
    Tol::Exact.check(&got, &[2.5, 2.5, -1.5, -1.5, -INF, f32::NAN]).unwrap();
}

fn movement_score(gpu: &Gpu, values: &[f32]) -> Vec<u32> {
    let mut rig = Rig::new(gpu);
    let movement = rig.slot("movement", values);
    let score = rig.output("score", values.len());
    rig.push(MovementScore { movement, score, len: values.len() as u32 });
    rig.run().read(score)
}

#[test]
fn movement_scores_order_as_the_movements_do() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        // Any bits: both signs, denormals, NaN.
        let words = Noise::new(len as u64).words(len);
        let values: Vec<f32> = words.iter().map(|&w| f32::from_bits(w)).collect();
        let got = movement_score(gpu, &values);
        assert_eq!(got, movement_score_reference(&values), "{len}");
        let mut pairs: Vec<(f32, u32)> = values.iter().copied().zip(got).collect();
        assert!(pairs.iter().all(|&(v, s)| v.is_nan() == (s > INF.to_bits())), "{len}");
        pairs.retain(|(v, _)| !v.is_nan());
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(pairs.is_sorted_by_key(|&(_, score)| score), "{len}");
    }
    let tiny = f32::from_bits(1);
    let ladder = [-INF, f32::MIN, -2.0, -1.0, -tiny, -0.0, 0.0, tiny, 1.0, 2.0, f32::MAX, INF];
    let got = movement_score(gpu, &ladder);
    assert_eq!(got, movement_score_reference(&ladder));
    assert!(got.is_sorted());
    for (&movement, &score) in ladder.iter().zip(&got) {
        let back = movement_of_score(score);
        assert_eq!(movement_score_reference(&[back]), [score], "{movement}");
        // Of the two neighbours that share a score the lower.
        assert!(back <= movement && back >= movement.next_down().max(-INF), "{movement}: {back}");
    }
    assert!(movement_of_score(f32::NAN.to_bits()).is_nan());
    assert_eq!((got[0], got[1], got[5], got[11]), (0, 0, got[6], 0x7f80_0000));
    assert!(got[2..=4].is_sorted_by(|a, b| a < b) && got[7..=10].is_sorted_by(|a, b| a < b));
}

/// The selection prunes the lowest movements, not the smallest.
#[test]
fn the_most_negative_movements_are_pruned_first() {
    let Some(gpu) = gpu() else { return };
    let len = 1000;
    let values = Noise::new(3).floats(len, 1.0);
    let scores: Vec<f32> = movement_score(gpu, &values).into_iter().map(f32::from_bits).collect();
    let mask = topk_reference(&scores, None, len / 4);
    let split = |keep| {
        let of = |i: &usize| bit(&mask, *i) == keep;
        (0..len).filter(of).map(|i| values[i]).collect::<Vec<f32>>()
    };
    let (pruned, kept) = (split(false), split(true));
    let highest = pruned.into_iter().fold(-INF, f32::max);
    let lowest = kept.into_iter().fold(INF, f32::min);
    assert!(highest <= lowest && lowest < 0.0, "pruned up to {highest}, kept from {lowest}");
}

#[test]
fn random_scores_are_the_hosts() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        let mut rig = Rig::new(gpu);
        let seeds = rig.slot("seeds", &[7u32, 1 << 31, u32::MAX]);
        let [first, last] = ["first", "last"].map(|name| rig.output(name, len));
        for (selection, score) in [(0, first), (2, last)] {
            rig.push(RandomScore { seeds, selection, score, len: len as u32 });
        }
        let bench = rig.run();
        for (seed, score) in [(7, first), (u32::MAX, last)] {
            let got: Vec<f32> = bench.read(score);
            assert_eq!(
                bits(&got),
                bits(&random_score_reference(seed, len as u32)),
                "{len}, {seed}"
            );
        }
    }
}

/// Uniform, and two seeds have nothing to do with each other. Bounds are five standard deviations.
#[test]
fn random_scores_are_random() {
    let len = 70_001;
    let scores = [0, 1, 1 << 31].map(|seed| random_score_reference(seed, len as u32));
    let five = |variance: f64| 5.0 * (variance * len as f64).sqrt();
    for (s, scores) in scores.iter().enumerate() {
        assert!(scores.iter().all(|&x| x > 0.0 && x <= 1.0));
        let mut bins = [0.0; 16];
        scores.iter().for_each(|&x| bins[(x * 16.0).ceil() as usize - 1] += 1.0);
        let (share, spread) = (1.0 / 16.0, five(1.0 / 16.0 * (15.0 / 16.0)));
        for count in bins {
            assert!((count - share * len as f64).abs() <= spread, "seed {s}: {bins:?}");
        }
    }
    let centred = |x: f32| f64::from(x) - 0.5;
    // Against another seed, and against its own neighbours.
    for (a, b) in [(&scores[0][..], &scores[1][..]), (&scores[0], &scores[2]), {
        (&scores[0][..len - 1], &scores[0][1..])
    }] {
        let product: f64 = a.iter().zip(b).map(|(&a, &b)| centred(a) * centred(b)).sum();
        assert!(product.abs() <= five(1.0 / 144.0), "{product}");
    }
    // Nor are they the other seed's in another order: 24 bits of 70,001 share few values by chance.
    let sorted = |scores: &[f32]| std::collections::BTreeSet::from_iter(bits(scores));
    let shared = sorted(&scores[0]).intersection(&sorted(&scores[1])).count();
    assert!(shared < 500, "{shared} of {len} scores are both seeds'");
}

fn input_norm(gpu: &Gpu, x: &[f32], before: &[f32], step: Step) -> Vec<f32> {
    let (columns, mut rig) = (before.len(), Rig::new(gpu));
    let (rows, columns) = ((x.len() / columns) as u32, columns as u32);
    let (x, step) = (rig.slot("x", x), rig.slot("step", &[step]));
    let norm = rig.slot("norm", before);
    rig.push(InputNorm { x, step, norm, rows, columns, repeat: 1 });
    rig.run().read(norm)
}

#[test]
fn input_norms_add_the_valid_rows() {
    let Some(gpu) = gpu() else { return };
    let tall = LENGTHS.map(|rows| (rows, 1));
    let wide = [(1, 70_001), (15, 33), (16, 16), (17, 31), (257, 65), (65_535, 17)];
    for (rows, columns) in tall.into_iter().chain(wide) {
        let mut noise = Noise::new(rows as u64);
        let integers = noise.integers(rows * columns, 4);
        let floats = noise.floats(rows * columns, 1.0);
        let before: Vec<f32> = noise.integers(columns, 9).iter().map(|n| n.abs()).collect();
        for valid in [0, 1, rows.div_ceil(2), rows] {
            let step = Step { rows: valid as u32, ..Default::default() };
            let context = |e| panic!("{valid} of {rows} x {columns}: {e}");
            for (data, whole) in [(&integers, true), (&floats, false)] {
                // Padding may be anything.
                let mut data = data.clone();
                data[valid.min(rows) * columns..].fill(f32::NAN);
                let want = input_norm_reference(&data, &before, &step);
                let sum = Tol::Sum { terms: valid + 1, magnitude: &want };
                let tol = if whole { Tol::Exact } else { sum };
                let got = input_norm(gpu, &data, &before, step);
                tol.check(&got, &want).unwrap_or_else(context);
                assert_eq!(bits(&got), bits(&input_norm(gpu, &data, &before, step)));
            }
        }
    }
    // More rows than there are: all of them. What is not finite stays in its column.
    let step = Step { rows: 9, ..Default::default() };
    let got = input_norm(gpu, &[1.0, INF, f32::NAN, 2.0, 1.0, 0.0], &[3.0; 3], step);
    Tol::Exact.check(&got, &[8.0, INF, f32::NAN]).unwrap();
}

fn wanda(gpu: &Gpu, w: &[f32], norm: &[f32], layout: Layout) -> Vec<f32> {
    let of = Units::new([norm.len() as u32, (w.len() / norm.len()) as u32]).layout(layout);
    let mut rig = Rig::new(gpu);
    let (weights, norm) = (rig.slot("weights", w), rig.slot("norm", norm));
    let score = rig.output("score", w.len());
    rig.push(Wanda { weights, norm, score, of });
    rig.run().read(score)
}

#[test]
fn wanda_is_within_its_roundings() {
    let Some(gpu) = gpu() else { return };
    let tall = LENGTHS.map(|rows| (rows, 1));
    let wide = [(1, 70_001), (15, 33), (16, 16), (257, 65), (1000, 257)];
    for (rows, columns) in tall.into_iter().chain(wide) {
        let mut noise = Noise::new(rows as u64);
        let w = noise.floats(rows * columns, 1.0);
        let norm: Vec<f32> = noise.floats(rows, 1e4).iter().map(|n| n.abs()).collect();
        let want = wanda_reference(&w, &norm);
        // A root is the inverse of an inverse root: 2 + 2.5 units of 2 u; and the product.
        let bounds: Vec<f64> = want.iter().map(|s| 10.0 * U * s).collect();
        let got = wanda(gpu, &w, &norm, Layout::InOut);
        let context = |e| panic!("{rows} x {columns}: {e}");
        Tol::Within(&bounds).check(&got, &want).unwrap_or_else(context);
        assert_eq!(bits(&got), bits(&wanda(gpu, &w, &norm, Layout::InOut)), "{rows} x {columns}");
        let turned = wanda(gpu, &outputs_first(&w, columns), &norm, Layout::OutIn);
        assert_eq!(bits(&turned), bits(&outputs_first(&got, columns)), "{rows} x {columns}");
    }
    let w = [-1.0, 0.0, f32::NAN, -INF, -3.0, 2.0];
    let got = wanda(gpu, &w, &[INF, 0.0, f32::NAN], Layout::InOut);
    Tol::Exact.check(&got, &[INF, f32::NAN, f32::NAN, f32::NAN, f32::NAN, f32::NAN]).unwrap();
    Tol::Exact.check(&wanda(gpu, &w, &[0.0; 6], Layout::InOut)[..2], &[0.0, 0.0]).unwrap();
}

fn kept_energy(gpu: &Gpu, v: &[f32], bits: &[u32]) -> Vec<f32> {
    let (len, mut rig) = (v.len() as u32, Rig::new(gpu));
    let rows = KeptEnergy::chunks(len);
    let (values, mask) = (rig.slot("values", v), rig.slot("mask", bits));
    let (partials, out) = (rig.output("partials", 2 * rows as usize), rig.output("energy", 2));
    rig.push(KeptEnergy { values, mask, partials, len });
    rig.push(ColumnSum { x: partials, out, rows, columns: 2 });
    rig.run().read(out)
}

#[test]
fn energy_is_exact_for_integers_and_inside_the_bound_for_floats() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS.into_iter().chain([8191, 8192, 8193]) {
        let mut noise = Noise::new(len as u64);
        let (integers, floats) = (noise.integers(len, 8), noise.floats(len, 1.0));
        // Bits past the end may be set.
        let mask = noise.words(len.div_ceil(32));
        let context = |e| panic!("{len}: {e}");
        let got = kept_energy(gpu, &integers, &mask);
        let want = kept_energy_reference(&integers, &mask);
        Tol::Exact.check(&got, &want).unwrap_or_else(context);
        let got = kept_energy(gpu, &floats, &mask);
        let want = kept_energy_reference(&floats, &mask);
        Tol::Sum { terms: len, magnitude: &want }.check(&got, &want).unwrap_or_else(context);
        assert_eq!(bits(&got), bits(&kept_energy(gpu, &floats, &mask)), "{len}");
        // The same sums in the same order: a mask of ones keeps the whole, to the bit.
        let all = kept_energy(gpu, &floats, &ones(len as u32));
        assert_eq!(all[0].to_bits(), all[1].to_bits(), "{len}");
        assert_eq!(kept_energy(gpu, &floats, &vec![0; mask.len()])[0], 0.0);
    }
    // A pruned value that is not finite is not in what is kept.
    let got = kept_energy(gpu, &[f32::NAN, 2.0, 3.0], &[0b110]);
    Tol::Exact.check(&got, &[13.0, f32::NAN]).unwrap();
}

/// The sum and the count of the scores above each of `thresholds`, one after the other.
fn outliers(gpu: &Gpu, scores: &[f32], thresholds: &[f32]) -> Vec<(f64, u64)> {
    let (len, mut rig) = (scores.len() as u32, Rig::new(gpu));
    let (scores, threshold) = (rig.slot("scores", scores), rig.slot("threshold", &[0.0_f32]));
    let partials = rig.output("partials", 2 * Outliers::chunks(len) as usize);
    rig.push(Outliers { scores, threshold, partials, len });
    let bench = rig.build();
    let of = |&above: &f32| {
        bench.upload(threshold, &[above]);
        bench.run();
        outliers_of(&bench.read::<u32>(partials))
    };
    thresholds.iter().map(of).collect()
}

#[test]
fn outliers_are_counted_exactly_and_their_sum_is_inside_the_bound() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS.into_iter().chain([8191, 8192, 8193]) {
        let scores: Vec<f32> =
            Noise::new(len as u64).floats(len, 1.0).iter().map(|x| x.abs()).collect();
        // One of the scores itself is not above it.
        let thresholds = [-1.0, 0.0, 0.5, scores[len / 2], 2.0, INF, f32::NAN];
        let got = outliers(gpu, &scores, &thresholds);
        for (&(sum, count), &above) in got.iter().zip(&thresholds) {
            let (want, counted) = outliers_reference(&scores, above);
            assert_eq!(count, counted, "{len} above {above}");
            let terms = len.min(8192);
            let bound = Tol::Sum { terms, magnitude: &[want] };
            bound.check(&[sum], &[want]).unwrap_or_else(|e| panic!("{len}: {e}"));
        }
        let again = outliers(gpu, &scores, &thresholds);
        let sums = |of: &[(f64, u64)]| of.iter().map(|(sum, _)| sum.to_bits()).collect::<Vec<_>>();
        assert_eq!(sums(&got), sums(&again), "{len}");
    }
    // What is not finite shows in the sum.
    let got = outliers(gpu, &[1.0, f32::NAN, 3.0], &[2.0]);
    assert!(got[0].0.is_nan() && got[0].1 == 1, "{got:?}");
    assert_eq!(outliers(gpu, &[1.0, INF, 3.0], &[2.0]), [(f64::INFINITY, 2)]);
}
