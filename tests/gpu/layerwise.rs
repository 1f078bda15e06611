//! Whole matrices pruned by the second moments of their inputs.
mod admm;
mod sparse_gpt;

use secateur::gpu::{Gpu, Target};
use secateur::kernels::{Form, Layout, matmul_reference, outputs_first};
use secateur::prune::layerwise::{FactorLayout, Gram};

use crate::common::{Noise, Rig, Tol, every_target, gpu};

/// Inputs that are correlated, as small whole numbers: their second moments are exact.
fn inputs(rows: usize, columns: usize) -> Vec<f32> {
    let wide = columns + 1;
    let noise = Noise::new(1).integers(rows * wide, 4);
    let at = |i: usize| i / columns * wide + i % columns;
    (0..rows * columns).map(|i| noise[at(i)] + noise[at(i) + 1]).collect()
}

/// `X^T X` by `Gram`, of windows of `window` rows.
fn gram_of(gpu: &Gpu, x: &[f32], columns: usize, window: usize) -> Vec<f32> {
    gram_for(gpu, gpu.target(), x, columns, window)
}

fn gram_for(gpu: &Gpu, target: Target, x: &[f32], columns: usize, window: usize) -> Vec<f32> {
    let mut rig = Rig::for_target(gpu, target);
    let slot = rig.slot("x", &vec![0.0f32; window * columns]);
    let gram = rig.slot("gram", &vec![0.0f32; columns * columns]);
    let (rows, columns) = (window as u32, columns as u32);
    Gram { x: slot, gram, rows, columns }.push(&mut rig.plan).unwrap();
    let bench = rig.build();
    for rows in x.chunks(window * columns as usize) {
        let mut padded = vec![0.0; window * columns as usize];
        padded[..rows.len()].copy_from_slice(rows);
        bench.upload(slot, &padded);
        bench.run();
    }
    let gram: Vec<f32> = bench.read(gram);
    let n = columns as usize;
    (0..n * n).map(|i| gram[(i / n).min(i % n) * n + (i / n).max(i % n)]).collect()
}

#[test]
fn moments_are_summed_over_windows() {
    let Some(gpu) = gpu() else { return };
    let sizes = [(1, 1, 1), (300, 147, 128), (70, 257, 70), (31, 33, 7), (5, 700, 5)];
    for (rows, columns, window) in sizes {
        let x = inputs(rows, columns);
        let got = every_target(gpu, |target| gram_for(gpu, target, &x, columns, window));
        let want = matmul_reference(Form::TN, (&x, &x), None, [columns, columns, rows]);
        let want: Vec<f64> = want.into_iter().map(|(sum, _)| sum).collect();
        Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{rows} x {columns}: {e}"));
    }
}

/// More rows in a window than an invocation may loop over.
#[test]
fn long_windows_are_split() {
    let Some(gpu) = gpu() else { return };
    let (rows, columns) = (31_000, 3);
    let got = gram_of(gpu, &vec![1.0; rows * columns], columns, rows);
    assert_eq!(got, vec![rows as f32; columns * columns]);
}

/// The factor `[inputs, inputs]` of its words.
fn unpacked(words: &[f32], layout: FactorLayout) -> Vec<f64> {
    let [inputs, width] = [layout.inputs, layout.width].map(|n| n as usize);
    let mut upper = vec![0.0; inputs * inputs];
    let mut words = words.iter().map(|&w| f64::from(w));
    for first in (0..inputs).step_by(width) {
        let end = inputs.min(first + width);
        for columns in [first..end, end..inputs] {
            for i in first..end {
                for j in columns.clone() {
                    upper[i * inputs + j] = words.next().unwrap();
                }
            }
        }
    }
    assert_eq!(words.next(), None);
    upper
}

/// `values [inputs, units]` as they lie in `layout`.
fn stored(values: &[f32], units: usize, layout: Layout) -> Vec<f32> {
    match layout {
        Layout::InOut => values.to_vec(),
        Layout::OutIn => outputs_first(values, units),
    }
}

/// Place of a weight in `layout`.
fn place([inputs, units]: [usize; 2], layout: Layout, i: usize) -> usize {
    match layout {
        Layout::InOut => i,
        Layout::OutIn => i % units * inputs + i / units,
    }
}
