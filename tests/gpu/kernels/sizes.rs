//! Sizes past what one grid, or one invocation's loops, hold.
use secateur::gpu::{PlanBuilder, Target};
use secateur::kernels::*;

use crate::common::{Noise, Rig, Tol, gpu};

/// WebGPU launches 65,535 workgroups in one dimension; each of these sums sixteen columns.
#[test]
fn columns_for_more_workgroups_than_a_grid_has() {
    let Some(gpu) = gpu() else { return };
    let [rows, columns] = [2usize, 16 * 65_535 + 33];
    let x = Noise::new(1).integers(rows * columns, 100);
    let mut rig = Rig::new(gpu);
    let (xs, out) = (rig.slot("x", &x), rig.output("out", columns));
    ColumnSum { x: xs, out, rows: 2, columns: columns as u32 }.push(&mut rig.plan).unwrap();
    let got: Vec<f32> = rig.run().read(out);
    let want: Vec<f64> = column_sum_reference(&x, columns).iter().map(|(sum, _)| *sum).collect();
    Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{e}"));
}

/// The bias of a transformer's layer: planned, not run.
#[test]
fn a_tall_matrix_of_many_columns_is_planned() {
    let (rows, columns) = (65_536, 4_096);
    let mut plan = PlanBuilder::default();
    let (x, out) = (plan.persistent("x", rows * columns), plan.persistent("out", columns));
    plan.phase("test");
    ColumnSum { x, out, rows, columns }.push(&mut plan).unwrap();
    assert!(plan.to_string().contains("grid 32768x1x1"), "{plan}");
}

/// A table of more rows than a grid has workgroups in one dimension.
#[test]
fn a_vocabulary_over_a_grid() {
    let Some(gpu) = gpu() else { return };
    let (rows, positions) = (65_600u32, 400usize);
    let mut noise = Noise::new(2);
    // Both ends of the table, and repeats.
    let tokens: Vec<f32> =
        noise.below(positions, 90).iter().map(|&t| f32::from(t as u16) + 65_510.0).collect();
    let tokens: Vec<f32> = tokens
        .iter()
        .enumerate()
        .map(|(i, t)| if i % 3 == 0 { t - 65_510.0 } else { *t })
        .collect();
    let gradient = noise.integers(positions, 8);
    let mut rig = Rig::new(gpu);
    let (t, g) = (rig.slot("tokens", &tokens), rig.slot("gradient", &gradient));
    let out = rig.output("out", rows as usize);
    let n = positions as u32;
    TableGradient { tokens: t, gradient: g, out, positions: n, rows, columns: 1 }
        .push(&mut rig.plan)
        .unwrap();
    let got: Vec<f32> = rig.run().read(out);
    let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
    let want = embedding_gradient_reference(&wide(&tokens), &wide(&gradient), [rows as usize, 1]);
    Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{e}"));
}

/// No number of positions is too many: each launch has as many as its loops may have.
#[test]
fn attention_over_very_many_positions_is_planned_part_by_part() {
    let (length, width) = (100_000, 64);
    let shape = Heads::new([1, 1, length, width]).causal(true).packed(true);
    for software in [false, true] {
        let target = Target { software, subgroup: Some(8), ..Target::default() };
        let mut plan = PlanBuilder::new(target);
        let len = length * width;
        let (x, out) = (plan.persistent("x", 3 * len), plan.persistent("out", len));
        let (logs, rows) = (plan.persistent("logs", length), plan.persistent("rows", 2 * length));
        let back = plan.persistent("back", 3 * len);
        plan.phase("test");
        let of = Attended { shape, queries: x, keys: x, values: x, seen: None };
        Attention { of, logs, out }.push(&mut plan).unwrap();
        let gradient = out;
        AttentionQueryGradient { of, gradient, rows, out: back }.push(&mut plan).unwrap();
        AttentionKeyGradient { of, gradient, rows, out: back, member: 0 }.push(&mut plan).unwrap();
        let text = plan.to_string();
        assert!(text.matches("attention_key_gradient").count() > 1, "{text}");
        assert!(text.contains("ACCUMULATE") && text.contains("RESUMED"), "{text}");
    }
    // So wide that one block of columns is too much.
    let shape = Heads::new([1, 1, 1, 30_000]);
    let mut plan = PlanBuilder::default();
    let (x, logs) = (plan.persistent("x", 30_000), plan.persistent("logs", 1));
    plan.phase("test");
    let of = Attended { shape, queries: x, keys: x, values: x, seen: None };
    let out = plan.persistent("out", 30_000);
    let gradient = AttentionQueryGradient { of, gradient: x, rows: logs, out }.push(&mut plan);
    let error = gradient.unwrap_err().to_string();
    assert!(error.contains("30000 channels") && error.contains("at most 30000"), "{error}");
}
