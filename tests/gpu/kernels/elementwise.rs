//! `add`, `apply_mask`, `gate`, and `column_sum`.
use secateur::gpu::Gpu;
use secateur::kernels::*;

use super::LENGTHS;
use crate::common::{Noise, Rig, Tol, gpu};

#[test]
fn add_is_exact() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        let mut noise = Noise::new(len as u64);
        let [a, b] = [1.0, 8.0].map(|scale| noise.floats(len, scale));
        let mut rig = Rig::new(gpu);
        let (x, y, out) = (rig.slot("x", &a), rig.slot("y", &b), rig.output("out", len));
        rig.push(Add { x, y, out, len: len as u32 });
        // One rounding: the nearest f32, which the reference holds.
        let got: Vec<f32> = rig.run().read(out);
        Tol::Exact.check(&got, &add_reference(&a, &b)).unwrap_or_else(|e| panic!("{len}: {e}"));
    }
}

#[test]
fn apply_mask_is_exact() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        apply_mask(gpu, len);
    }
}

/// 66,000 workgroups and a ragged one more: the grid folds into a second dimension.
#[test]
fn a_grid_folds() {
    let Some(gpu) = gpu() else { return };
    let len = 66_000 * 256 + 33;
    assert_eq!(secateur::gpu::grid_1d(len as u32), [65_535, 2, 1]);
    apply_mask(gpu, len);
}

fn apply_mask(gpu: &Gpu, len: usize) {
    let words = Noise::new(len as u64).words(len.div_ceil(32));
    let before: Vec<f32> = (0..len).map(|i| i as f32 + 1.0).collect();
    let mut rig = Rig::new(gpu);
    let (mask, values) = (rig.slot("mask", &words), rig.slot("values", &before));
    rig.push(ApplyMask { mask, values, len: len as u32 });
    let got: Vec<f32> = rig.run().read(values);
    let want = apply_mask_reference(&words, &before);
    Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{len}: {e}"));
}

#[test]
fn gate_is_within_its_roundings() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        for activation in [Activation::Identity, Activation::Relu, Activation::Tanh] {
            let mut noise = Noise::new(len as u64);
            let g = noise.floats(len, 4.0);
            let mut y = noise.floats(len, 1.0);
            y[len / 2] = 0.0;
            let mut rig = Rig::new(gpu);
            let (gradient, output) = (rig.slot("gradient", &g), rig.slot("output", &y));
            let out = rig.output("out", len);
            rig.push(Gate { gradient, output, activation, out, len: len as u32 });
            let got: Vec<f32> = rig.run().read(out);
            // y * y, 1 - y * y and the product: three roundings, at magnitudes of at most 2 |g|.
            let bounds: Vec<f64> =
                g.iter().map(|g| 6.0 * crate::common::U * f64::from(g.abs())).collect();
            let tol =
                if activation == Activation::Tanh { Tol::Within(&bounds) } else { Tol::Exact };
            tol.check(&got, &gate_reference(&g, &y, activation))
                .unwrap_or_else(|e| panic!("{len}, {activation:?}: {e}"));
        }
    }
}

fn column_sum(gpu: &Gpu, data: &[f32], columns: usize) -> Vec<f32> {
    let rows = data.len() / columns;
    let mut rig = Rig::new(gpu);
    let (x, out) = (rig.slot("x", data), rig.output("out", columns));
    rig.push(ColumnSum { x, out, rows: rows as u32, columns: columns as u32 });
    rig.run().read(out)
}

#[test]
fn column_sum_is_exact_for_integers_and_inside_the_bound_for_floats() {
    let Some(gpu) = gpu() else { return };
    let tall = LENGTHS.map(|rows| (rows, 1));
    let wide = [(1, 70_001), (15, 33), (16, 16), (17, 31), (257, 65), (1000, 257)];
    for (rows, columns) in tall.into_iter().chain(wide) {
        let mut noise = Noise::new(rows as u64);
        let integers = noise.integers(rows * columns, 8);
        let floats = noise.floats(rows * columns, 1.0);
        let want = |data| column_sum_reference(data, columns).into_iter().unzip();
        let context = |e| panic!("{rows} x {columns}: {e}");
        let (sums, _): (Vec<f64>, Vec<f64>) = want(&integers);
        Tol::Exact.check(&column_sum(gpu, &integers, columns), &sums).unwrap_or_else(context);
        let (sums, magnitude) = want(&floats);
        let tol = Tol::Sum { terms: rows, magnitude: &magnitude };
        tol.check(&column_sum(gpu, &floats, columns), &sums).unwrap_or_else(context);
    }
}

#[test]
fn column_sum_repeats_bit_for_bit() {
    let Some(gpu) = gpu() else { return };
    let data = Noise::new(5).floats(10_007 * 19, 1.0);
    let bits = || column_sum(gpu, &data, 19).into_iter().map(f32::to_bits).collect::<Vec<_>>();
    assert_eq!(bits(), bits());
}

#[test]
fn running_mean_starts_anew_and_averages() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        // What a new mean replaces may be anything.
        for (share, before) in [(1.0, f32::NAN), (0.5, 3.0), (1.0 / 3.0, -1.0)] {
            let mut noise = Noise::new(len as u64);
            let data = noise.floats(len, 4.0);
            let mean: Vec<f32> = noise.floats(len, 1.0).iter().map(|v| v * before).collect();
            let step = Step { share, ..Default::default() };
            let mut rig = Rig::new(gpu);
            let (x, slot) = (rig.slot("x", &data), rig.slot("step", &[step]));
            let out = rig.slot("mean", &mean);
            rig.push(RunningMean { x, step: slot, mean: out, len: len as u32 });
            let got: Vec<f32> = rig.run().read(out);
            // Difference, product and sum: three roundings, of terms no larger than both together.
            let bounds: Vec<f64> = data
                .iter()
                .zip(&mean)
                .map(|(x, m)| 3.0 * crate::common::U * (f64::from(x.abs()) + f64::from(m.abs())))
                .collect();
            let tol = if share == 1.0 { Tol::Exact } else { Tol::Within(&bounds) };
            tol.check(&got, &running_mean_reference(&data, &mean, &step))
                .unwrap_or_else(|e| panic!("{len}, share {share}: {e}"));
        }
    }
}
