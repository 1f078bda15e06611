//! `add`, `apply_mask`, `gate`, and `column_sum`.
use secateur::gpu::{Gpu, Target};
use secateur::kernels::*;

use super::LENGTHS;
use crate::common::{Noise, Rig, Tol, gpu};

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}

#[test]
fn sums_and_products_are_rounded_once() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        for period in [len, 1, len.min(3)] {
            // Whole rows only, as a graph has them.
            let len = len / period * period;
            let mut noise = Noise::new(len as u64);
            let (a, b) = (noise.floats(len, 1.0), noise.floats(period, 8.0));
            let mut rig = Rig::new(gpu);
            let (x, y) = (rig.slot("x", &a), rig.slot("y", &b));
            let [sums, products] = ["sums", "products"].map(|name| rig.output(name, len));
            let (len, period) = (len as u32, period as u32);
            rig.push(Add { x, y, out: sums, len, period });
            rig.push(Mul { x, y, out: products, len, period });
            let bench = rig.run();
            // Of two f32 both are exact in f64, or as good as: rounded, the nearest f32.
            for (got, want) in [
                (bench.read::<f32>(sums), add_reference(&wide(&a), &wide(&b))),
                (bench.read(products), mul_reference(&wide(&a), &wide(&b))),
            ] {
                let want: Vec<f32> = want.into_iter().map(|v| v as f32).collect();
                Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{len}, {period}: {e}"));
            }
        }
    }
}

#[test]
fn activations_are_within_their_roundings() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        for activation in Activation::ALL {
            let data = Noise::new(len as u64).floats(len, 6.0);
            let mut rig = Rig::new(gpu);
            let (x, out) = (rig.slot("x", &data), rig.output("out", len));
            rig.push(Activate { x, activation, out, len: len as u32 });
            let got: Vec<f32> = rig.run().read(out);
            // An exponential of an argument up to 20 is off by some 50 units, and sums with 1
            // cancel.
            let (want, bounds) =
                crate::common::bounds_of(&[&data], 64, |x| activate_reference(&x[0], activation));
            let bounds: Vec<f64> = bounds.iter().map(|b| b + 64.0 * crate::common::U).collect();
            let exact = matches!(activation, Activation::Identity | Activation::Relu);
            if exact { Tol::Exact } else { Tol::Within(&bounds) }
                .check(&got, &want)
                .unwrap_or_else(|e| panic!("{len}, {activation:?}: {e}"));
        }
    }
    // The formula of the exact GELU is off by 7.5e-8 of x, and by roundings of numbers up to 1.
    let data: Vec<f32> = (-600..=600).map(|i| i as f32 * 0.01).collect();
    let mut rig = Rig::new(gpu);
    let (x, out) = (rig.slot("x", &data), rig.output("out", data.len()));
    rig.push(Activate { x, activation: Activation::Gelu, out, len: data.len() as u32 });
    let got: Vec<f32> = rig.run().read(out);
    let wide: Vec<f64> = data.iter().map(|&x| x.into()).collect();
    let bounds: Vec<f64> = wide.iter().map(|x| 3e-7 * x.abs()).collect();
    let want = activate_reference(&wide, Activation::Gelu);
    Tol::Within(&bounds).check(&got, &want).unwrap_or_else(|e| panic!("{e}"));
    // Far out nothing overflows.
    let far = [-200f32, 200.0];
    for (activation, want) in [
        (Activation::Tanh, [-1.0, 1.0]),
        (Activation::Sigmoid, [0.0, 1.0]),
        (Activation::Gelu, [0.0, 200.0]),
        (Activation::GeluTanh, [0.0, 200.0]),
        (Activation::Silu, [0.0, 200.0]),
    ] {
        let mut rig = Rig::new(gpu);
        let (x, out) = (rig.slot("x", &far), rig.output("out", 2));
        rig.push(Activate { x, activation, out, len: 2 });
        let got: Vec<f32> = rig.run().read(out);
        Tol::Within(&[1e-30, 1e-30]).check(&got, &want).unwrap_or_else(|e| panic!("{e}"));
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
    assert_eq!(secateur::gpu::grid_1d(len as u32), [33_001, 2, 1]);
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
fn gates_are_within_their_roundings() {
    let Some(gpu) = gpu() else { return };
    for len in LENGTHS {
        for activation in Activation::ALL {
            let mut noise = Noise::new(len as u64);
            let g = noise.floats(len, 4.0);
            let mut y = noise.floats(len, if activation.slopes_by_input() { 6.0 } else { 1.0 });
            y[len / 2] = 0.0;
            let mut rig = Rig::new(gpu);
            let (gradient, output) = (rig.slot("gradient", &g), rig.slot("output", &y));
            let out = rig.output("out", len);
            rig.push(Gate { gradient, output, activation, out, len: len as u32 });
            let got: Vec<f32> = rig.run().read(out);
            // Slopes of at most 1.2, whose few roundings are of terms of that size; one with an
            // exponential is off by some 64 units.
            let roundings = if activation.slopes_by_input() { 64.0 } else { 6.0 };
            let bounds: Vec<f64> =
                g.iter().map(|g| roundings * crate::common::U * f64::from(g.abs())).collect();
            let exact = matches!(activation, Activation::Identity | Activation::Relu);
            if exact { Tol::Exact } else { Tol::Within(&bounds) }
                .check(&got, &gate_reference(&g, &y, activation))
                .unwrap_or_else(|e| panic!("{len}, {activation:?}: {e}"));
        }
    }
}

fn column_sum(gpu: &Gpu, software: bool, data: &[f32], columns: usize) -> Vec<f32> {
    let rows = data.len() / columns;
    let mut rig = Rig::for_target(gpu, Target { software, ..Target::default() });
    let (x, out) = (rig.slot("x", data), rig.output("out", columns));
    let sum = ColumnSum { x, out, rows: rows as u32, columns: columns as u32 };
    sum.push(&mut rig.plan).unwrap();
    rig.run().read(out)
}

#[test]
fn column_sum_is_exact_for_integers_and_inside_the_bound_for_floats() {
    let Some(gpu) = gpu() else { return };
    let tall = LENGTHS.map(|rows| (rows, 1));
    let wide =
        [(1, 70_001), (15, 33), (16, 16), (17, 31), (257, 65), (1000, 257), (5000, 33), (4099, 5)];
    for (rows, columns) in tall.into_iter().chain(wide) {
        let mut noise = Noise::new(rows as u64);
        let integers = noise.integers(rows * columns, 8);
        let floats = noise.floats(rows * columns, 1.0);
        let want = |data| column_sum_reference(data, columns).into_iter().unzip();
        let context = |e| panic!("{rows} x {columns}: {e}");
        let (sums, _): (Vec<f64>, Vec<f64>) = want(&integers);
        let (of_floats, magnitude) = want(&floats);
        let tol = Tol::Sum { terms: rows, magnitude: &magnitude };
        for software in [true, false] {
            let got = column_sum(gpu, software, &integers, columns);
            Tol::Exact.check(&got, &sums).unwrap_or_else(context);
            let got = column_sum(gpu, software, &floats, columns);
            tol.check(&got, &of_floats).unwrap_or_else(context);
        }
    }
}

#[test]
fn column_sum_repeats_bit_for_bit() {
    let Some(gpu) = gpu() else { return };
    let data = Noise::new(5).floats(10_007 * 19, 1.0);
    let bits =
        || column_sum(gpu, true, &data, 19).into_iter().map(f32::to_bits).collect::<Vec<_>>();
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
