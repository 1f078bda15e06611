//! `pool`, `lrn`, `normalise` and batch norm, with their gradients.
use secateur::gpu::{Gpu, Kernel, Target};
use secateur::kernels::*;

use crate::common::{Noise, Rig, Tol, bounds_of, gpu};

/// Runs one kernel that `make` builds of slots for `operands` and an output of `len`; what it
/// wrote.
fn run<K: Kernel>(
    gpu: &Gpu,
    operands: &[&[f32]],
    len: usize,
    make: impl Fn(&[secateur::gpu::Slot]) -> K,
) -> Vec<f32> {
    let mut rig = Rig::new(gpu);
    let mut slots: Vec<_> = operands.iter().map(|x| rig.slot("operand", x)).collect();
    slots.push(rig.output("out", len));
    rig.push(make(&slots));
    rig.run().read(slots[operands.len()])
}

fn window(
    [images, channels]: [u32; 2],
    size: [u32; 2],
    kernel: [u32; 2],
    stride: [u32; 2],
    [pad, out]: [[u32; 2]; 2],
) -> Convolution {
    let (outputs, groups) = (channels, channels);
    Convolution {
        images,
        size,
        channels,
        kernel,
        stride,
        dilation: [1, 1],
        pad,
        out,
        outputs,
        groups,
    }
}

#[test]
fn pools_of_awkward_windows() {
    let Some(gpu) = gpu() else { return };
    let shapes = [
        window([1, 1], [1, 1], [1, 1], [1, 1], [[0, 0], [1, 1]]),
        window([3, 5], [7, 6], [2, 2], [2, 2], [[0, 0], [3, 3]]),
        window([2, 3], [5, 9], [3, 3], [2, 2], [[1, 1], [3, 5]]),
        window([2, 33], [9, 4], [3, 2], [1, 3], [[2, 0], [9, 2]]),
        window([1, 2], [4, 4], [2, 2], [3, 3], [[0, 0], [1, 1]]),
        // No window shares a pixel, with zeros before the image, and pixels between and behind.
        window([3, 7], [8, 10], [2, 3], [3, 4], [[1, 2], [2, 2]]),
        window([2, 20], [24, 24], [2, 2], [2, 2], [[0, 0], [12, 12]]),
        window([5, 64], [24, 24], [3, 3], [2, 2], [[0, 0], [12, 12]]),
    ];
    for shape in shapes {
        let (x_len, y_len) = (shape.input_len() as usize, shape.output_len() as usize);
        for pooling in [Pooling::Max, Pooling::Mean] {
            let mut noise = Noise::new(x_len as u64);
            // Whole numbers tie: the first of the largest gets the gradient.
            for x in [noise.floats(x_len, 1.0), noise.integers(x_len, 2)] {
                let gradient = noise.integers(y_len, 64);
                let context = |e| panic!("{shape:?}, {pooling:?}: {e}");
                let got = run(gpu, &[&x], y_len, |s| Pool { shape, pooling, x: s[0], y: s[1] });
                let (want, bounds) =
                    bounds_of(&[&x], 9, |x| pool_reference(&shape, pooling, &x[0]));
                let tol = if pooling == Pooling::Max { Tol::Exact } else { Tol::Within(&bounds) };
                tol.check(&got, &want).unwrap_or_else(context);

                let got = run(gpu, &[&gradient, &x], x_len, |s| PoolGradient {
                    shape,
                    pooling,
                    gradient: s[0],
                    x: s[1],
                    out: s[2],
                });
                let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
                let (g, x) = (wide(&gradient), wide(&x));
                let want = pool_gradient_reference(&shape, pooling, &g, &x);
                let bounds = vec![64.0 * 9.0 * 8.0 * crate::common::U; x_len];
                let tol = if pooling == Pooling::Max { Tol::Exact } else { Tol::Within(&bounds) };
                tol.check(&got, &want).unwrap_or_else(context);
            }
        }
    }
}

#[test]
fn windows_of_padding_are_refused() {
    let bad = window([1, 1], [2, 2], [2, 2], [2, 2], [[0, 0], [2, 1]]);
    let mut plan = secateur::gpu::PlanBuilder::default();
    plan.phase("test");
    let [x, y] = ["x", "y"].map(|name| plan.persistent(name, 64));
    let refused = |plan: &mut secateur::gpu::PlanBuilder, shape, what: &str| {
        let error = plan.push(Pool { shape, pooling: Pooling::Max, x, y }).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    refused(&mut plan, bad, "nothing but padding");
    refused(&mut plan, Convolution { pad: [2, 0], ..bad }, "nothing but padding");
    refused(&mut plan, Convolution { dilation: [2, 1], ..bad }, "one channel at a time");
}

#[test]
fn local_response_norms() {
    let Some(gpu) = gpu() else { return };
    for (rows, channels, radius) in [(1, 1, 4), (3, 5, 1), (33, 31, 4), (257, 64, 4), (9, 3, 9)] {
        let len = rows * channels;
        let mut noise = Noise::new(len as u64);
        let (x, g) = (noise.floats(len, 8.0), noise.floats(len, 1.0));
        // A pixel of zeros has a gradient too.
        let x: Vec<f32> =
            x.iter().enumerate().map(|(i, x)| if i % 7 == 0 { 0.0 } else { *x }).collect();
        let lrn = Lrn {
            len: len as u32,
            channels: channels as u32,
            radius,
            bias: 1.0,
            alpha: 0.25,
            beta: 0.75,
        };
        let context = |e| panic!("{rows} x {channels}, {radius}: {e}");
        let scale = run(gpu, &[&x], len, |s| LrnScale { lrn, x: s[0], out: s[1] });
        let (want, bounds) = bounds_of(&[&x], 64, |x| lrn_scale_reference(&lrn, &x[0]));
        Tol::Within(&bounds).check(&scale, &want).unwrap_or_else(context);
        let y = run(gpu, &[&x, &scale], len, |s| LrnApply { lrn, x: s[0], scale: s[1], y: s[2] });
        // pow(x, y) is exp2(y log2 x): tens of units.
        let (want, bounds) = bounds_of(&[&x, &scale], 400, |x| lrn_reference(&lrn, &x[0], &x[1]));
        Tol::Within(&bounds).check(&y, &want).unwrap_or_else(context);
        let got = run(gpu, &[&g, &x, &scale, &y], len, |s| LrnGradient {
            lrn,
            gradient: s[0],
            x: s[1],
            scale: s[2],
            y: s[3],
            out: s[4],
        });
        let (want, bounds) =
            bounds_of(&[&g, &x], 400, |x| lrn_gradient_reference(&lrn, &x[0], &x[1]));
        Tol::Within(&bounds).check(&got, &want).unwrap_or_else(context);
    }
}

#[test]
fn rows_are_normalised() {
    let Some(gpu) = gpu() else { return };
    for (rows, columns) in [(1, 1), (3, 31), (5, 64), (33, 65), (2, 1000), (70_001, 3)] {
        for centred in [true, false] {
            let len = rows * columns;
            let mut noise = Noise::new(len as u64);
            let (x, g) = (noise.floats(len, 3.0), noise.floats(len, 1.0));
            let x: Vec<f32> = x.iter().map(|x| x + 2.0).collect();
            let shape = Rows { rows: rows as u32, columns: columns as u32, epsilon: 1e-2, centred };
            let context = |e| panic!("{rows} x {columns}, {centred}: {e}");
            let got = run(gpu, &[&x], len, |s| Normalise { rows: shape, x: s[0], y: s[1] });
            let (want, bounds) =
                bounds_of(&[&x], 64 + columns, |x| normalise_reference(&shape, &x[0]));
            Tol::Within(&bounds).check(&got, &want).unwrap_or_else(context);
            let got = run(gpu, &[&g, &x], len, |s| NormaliseGradient {
                rows: shape,
                gradient: s[0],
                x: s[1],
                out: s[2],
            });
            let (want, bounds) = bounds_of(&[&g, &x], 64 + columns, |x| {
                normalise_gradient_reference(&shape, &x[0], &x[1])
            });
            Tol::Within(&bounds).check(&got, &want).unwrap_or_else(context);
        }
    }
}

#[test]
fn columns_are_normalised_by_their_valid_rows() {
    let Some(gpu) = gpu() else { return };
    for (batch, repeat, columns) in
        [(1usize, 1, 1), (4, 9, 5), (16, 16, 17), (33, 25, 64), (7, 999, 3), (3, 80_007, 1)]
    {
        for valid in [batch, batch.div_ceil(2)] {
            let rows = batch * repeat;
            let len = rows * columns;
            let mut noise = Noise::new(len as u64);
            let (mut x, g) = (noise.floats(len, 3.0), noise.floats(len, 1.0));
            // Padding may be anything.
            x[valid * repeat * columns..].fill(f32::NAN);
            let shape = Columns {
                rows: rows as u32,
                columns: columns as u32,
                repeat: repeat as u32,
                epsilon: 1e-2,
            };
            let valid_rows = Step { rows: valid as u32, ..Default::default() };
            let context = |e| panic!("{batch} x {repeat} x {columns}, {valid}: {e}");
            let (want, bounds) =
                bounds_of(&[&x], 64 + rows, |x| moments_reference(&shape, &x[0], valid as u32));
            // A GPU's are of parts of the rows.
            let [_, moments] = [true, false].map(|software| {
                let mut rig = Rig::for_target(gpu, Target { software, ..Target::default() });
                let (xs, step) = (rig.slot("x", &x), rig.slot("step", &[valid_rows]));
                let out = rig.output("out", 2 * columns);
                Moments { shape, x: xs, step, out }.push(&mut rig.plan).unwrap();
                let moments: Vec<f32> = rig.run().read(out);
                Tol::Within(&bounds).check(&moments, &want).unwrap_or_else(context);
                moments
            });

            x[valid * repeat * columns..].fill(0.5);
            let y = run(gpu, &[&x, &moments], len, |s| BatchNormalise {
                shape,
                x: s[0],
                moments: s[1],
                y: s[2],
            });
            let (want, bounds) =
                bounds_of(&[&x, &moments], 64, |x| batch_normalise_reference(&shape, &x[0], &x[1]));
            Tol::Within(&bounds).check(&y, &want).unwrap_or_else(context);

            let (sums, products) = (noise.floats(columns, 9.0), noise.floats(columns, 9.0));
            let mut rig = Rig::new(gpu);
            let [gradient, y_slot] = [&g, &y].map(|x| rig.slot("rows", x));
            let [m, gradients, along] =
                [&moments, &sums, &products].map(|x| rig.slot("columns", x));
            let (step, out) = (rig.slot("step", &[valid_rows]), rig.output("out", len));
            rig.push(BatchNormaliseGradient {
                shape,
                gradient,
                y: y_slot,
                moments: m,
                gradients,
                products: along,
                step,
                out,
            });
            let got: Vec<f32> = rig.run().read(out);
            let (want, mut bounds) = bounds_of(&[&g, &y, &moments, &sums, &products], 64, |x| {
                let sums = [x[3].as_slice(), &x[4]];
                batch_normalise_gradient_reference(
                    &shape,
                    (&x[0], &x[1]),
                    &x[2],
                    sums,
                    valid as u32,
                )
            });
            bounds[valid * repeat * columns..].fill(0.0);
            Tol::Within(&bounds).check(&got, &want).unwrap_or_else(context);
        }
    }
}

#[test]
fn moving_averages() {
    let Some(gpu) = gpu() else { return };
    for len in super::LENGTHS {
        for decay in [0.0, 0.9, 0.9999, 1.0] {
            let mut noise = Noise::new(len as u64);
            let (x, before) = (noise.floats(len, 4.0), noise.floats(len, 4.0));
            let mut rig = Rig::new(gpu);
            let (xs, average) = (rig.slot("x", &x), rig.slot("average", &before));
            rig.push(MovingAverage { x: xs, average, len: len as u32, decay });
            let got: Vec<f32> = rig.run().read(average);
            let (want, bounds) =
                bounds_of(&[&x, &before], 9, |x| moving_average_reference(&x[0], &x[1], decay));
            Tol::Within(&bounds)
                .check(&got, &want)
                .unwrap_or_else(|e| panic!("{len}, {decay}: {e}"));
        }
    }
}
