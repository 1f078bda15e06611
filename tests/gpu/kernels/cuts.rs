//! Launches that would take too long are cut in several, which changes no bit.
use secateur::gpu::{Gpu, Slot, Target};
use secateur::kernels::*;

use crate::common::{Noise, Rig, gpu};

/// What `push` leaves in its outputs on a device that may be busy for so many operations at once,
/// and how many launches it takes.
fn run(
    gpu: &Gpu,
    target: Target,
    most: Option<u64>,
    push: impl Fn(&mut Rig<'_>) -> Vec<Slot>,
) -> (Vec<Vec<u32>>, usize) {
    let mut rig = Rig::for_target(gpu, Target { most_operations: most, ..target });
    let outputs = push(&mut rig);
    let launches = rig.plan.to_string().lines().filter(|line| line.starts_with("  ")).count();
    let bench = rig.run();
    (outputs.into_iter().map(|slot| bench.read(slot)).collect(), launches)
}

/// The same bits whole, in a few pieces, and with a workgroup a piece.
fn same_in_pieces(gpu: &Gpu, target: Target, push: impl Fn(&mut Rig<'_>) -> Vec<Slot>) {
    let (whole, one) = run(gpu, target, None, &push);
    let (few, some) = run(gpu, target, Some(100_000), &push);
    let (single, many) = run(gpu, target, Some(1), &push);
    assert!(one < some && some < many, "{one}, {some} and {many} launches");
    assert!(few == whole && single == whole, "pieces give other bits");
}

fn targets(gpu: &Gpu) -> Vec<Target> {
    let software = Target { software: true, ..Target::default() };
    vec![Target::default(), software, gpu.target()]
}

#[test]
fn products() {
    let Some(gpu) = gpu() else { return };
    let [m, n, k] = [165u32, 133, 20];
    let mut noise = Noise::new(1);
    let [av, bv, bias] = [m * k, k * n, n].map(|len| noise.floats(len as usize, 1.0));
    for target in targets(gpu) {
        for form in [Form::NN, Form::NT, Form::TN] {
            same_in_pieces(gpu, target, |rig| {
                let (a, b) = (rig.slot("a", &av), rig.slot("b", &bv));
                let bias = Some(rig.slot("bias", &bias));
                let c = rig.output("c", (m * n) as usize);
                let mut product = Matmul::new(form, [a, b, c], [m, n, k]);
                (product.bias, product.activation) = (bias, Activation::Tanh);
                product.push(&mut rig.plan).unwrap();
                vec![c]
            });
        }
    }
}

#[test]
fn convolutions_of_groups() {
    let Some(gpu) = gpu() else { return };
    let shape = Convolution {
        images: 3,
        size: [9, 11],
        channels: 6,
        kernel: [3, 2],
        stride: [2, 1],
        dilation: [1, 1],
        pad: [1, 0],
        out: [5, 10],
        outputs: 9,
        groups: 3,
    };
    let mut noise = Noise::new(2);
    let [x, w, y] = [shape.input_len(), shape.weight_len(), shape.output_len()];
    let [xs, ws, ys] = [x, w, y].map(|len| noise.floats(len as usize, 1.0));
    for target in targets(gpu) {
        for (form, a, b, c) in
            [(Form::NN, &xs, &ws, y), (Form::NT, &ys, &ws, x), (Form::TN, &xs, &ys, w)]
        {
            let push = |rig: &mut Rig<'_>| {
                let (a, b) = (rig.slot("a", a), rig.slot("b", b));
                let c = rig.output("c", c as usize);
                Conv2d::new(form, shape, [a, b, c]).push(&mut rig.plan).unwrap();
                vec![c]
            };
            let (whole, one) = run(gpu, target, None, push);
            let (single, many) = run(gpu, target, Some(1), push);
            assert!(one < many, "{one} and {many} launches");
            assert!(single == whole, "{form:?}: pieces give other bits");
        }
    }
}

#[test]
fn halves() {
    let Some(gpu) = crate::common::half_gpu() else { return };
    let [m, n, k] = [70, 133, 20];
    let mut noise = Noise::new(3);
    let [av, bv] = [m * k, k * n].map(|len: u32| noise.floats(len as usize, 1.0));
    let software = Target { software: true, ..Target::default() };
    same_in_pieces(gpu, software, |rig| {
        let peaks = rig.output("peaks", 2);
        rig.push(F16Begin { peaks });
        let mut copy = |values: &[f32], at, rows, columns| {
            let x = rig.slot("x", values);
            let out = rig.output("f16", F16Copy::words(rows, columns).unwrap() as usize);
            rig.push(MagnitudePeak::new([x, peaks], at, rows * columns));
            rig.push(F16Copy::new([x, peaks, out], at, [rows, columns]));
            F16Operand { copy: out, at }
        };
        let (a, b) = (copy(&av, 0, m, k), copy(&bv, 1, k, n));
        let c = rig.output("c", (m * n) as usize);
        let product = F16Matmul::new(Form::NN, [a, b], [peaks, c], [m, n, k]);
        product.push(&mut rig.plan).unwrap();
        vec![c]
    });
}

#[test]
fn attention() {
    let Some(gpu) = gpu() else { return };
    let shape = Heads::new([2, 3, 33, 5]).causal(true).packed(true);
    let one = 2 * 3 * 33 * 5;
    let mut noise = Noise::new(4);
    let (x, g) = (noise.floats(3 * one, 2.0), noise.floats(one, 1.0));
    same_in_pieces(gpu, gpu.target(), |rig| {
        let (x, gradient) = (rig.slot("x", &x), rig.slot("gradient", &g));
        let (out, rows) = (rig.output("out", one), rig.output("rows", shape.rows() as usize));
        let logs = rig.output("logs", shape.queries() as usize);
        let back = rig.output("back", 3 * one);
        let of = Attended { shape, queries: x, keys: x, values: x, seen: None };
        Attention { of, logs, out }.push(&mut rig.plan).unwrap();
        rig.push(AttentionRows { shape, logs, result: out, gradient, rows });
        AttentionQueryGradient { of, gradient, rows, out: back }.push(&mut rig.plan).unwrap();
        let keys = AttentionKeyGradient { of, gradient, rows, out: back, member: 0 };
        keys.push(&mut rig.plan).unwrap();
        vec![out, back]
    });
}

#[test]
fn gradients_of_embeddings_and_sums_of_columns() {
    let Some(gpu) = gpu() else { return };
    let [positions, rows, columns] = [300u32, 7, 600];
    let mut noise = Noise::new(5);
    let tokens: Vec<f32> =
        noise.below(positions as usize, rows).iter().map(|&t| t as f32).collect();
    let values = noise.floats((positions * columns) as usize, 1.0);
    same_in_pieces(gpu, gpu.target(), |rig| {
        let (tokens, gradient) = (rig.slot("tokens", &tokens), rig.slot("gradient", &values));
        let out = rig.output("out", (rows * columns) as usize);
        let sums = rig.output("sums", columns as usize);
        TableGradient { tokens, gradient, out, positions, rows, columns }
            .push(&mut rig.plan)
            .unwrap();
        ColumnSum { x: gradient, out: sums, rows: positions, columns }.push(&mut rig.plan).unwrap();
        vec![out, sums]
    });
}
