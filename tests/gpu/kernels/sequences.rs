//! `dropout`, `embedding` and `attention`, with their gradients.
use secateur::kernels::*;

use super::LENGTHS;
use crate::common::{Noise, Rig, Tol, bounds_of, gpu};

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| x.into()).collect()
}

#[test]
fn dropout_is_a_function_of_noise_stream_and_index() {
    let Some(gpu) = gpu() else { return };
    let drop = |x: &[f32], noise: u32, stream: u32, rate: f32| {
        let step = Step { noise, ..Default::default() };
        let mut rig = Rig::new(gpu);
        let (xs, slot) = (rig.slot("x", x), rig.slot("step", &[step]));
        let out = rig.output("out", x.len());
        rig.push(Dropout { x: xs, step: slot, out, len: x.len() as u32, stream, rate });
        let got: Vec<f32> = rig.run().read(out);
        let want: Vec<f32> =
            dropout_reference(&wide(x), &step, stream, rate).iter().map(|&v| v as f32).collect();
        Tol::Ulp(3).check(&got, &want).unwrap_or_else(|e| panic!("{rate}: {e}"));
        got
    };
    for len in LENGTHS {
        for rate in [0.0, 0.1, 0.5, 0.99] {
            let x: Vec<f32> =
                Noise::new(len as u64).floats(len, 1.0).iter().map(|x| x + 2.0).collect();
            let got = drop(&x, 5, 3, rate);
            let dropped = got.iter().filter(|v| **v == 0.0).count() as f64;
            // Five standard deviations of a binomial count.
            let (mean, p) = (len as f64 * f64::from(rate), f64::from(rate));
            let spread = 5.0 * (mean * (1.0 - p)).sqrt() + 1.0;
            assert!((dropped - mean).abs() <= spread, "{len}, {rate}: {dropped}");
        }
    }
    let x = vec![1.0; 1000];
    let others = [drop(&x, 5, 4, 0.5), drop(&x, 6, 3, 0.5)];
    for other in others {
        let same = drop(&x, 5, 3, 0.5).iter().zip(&other).filter(|(a, b)| a == b).count();
        assert!((400..600).contains(&same), "{same} of 1000 alike");
    }
}

#[test]
fn embeddings_and_their_gradients() {
    let Some(gpu) = gpu() else { return };
    for (positions, rows, columns) in
        [(1, 1, 1), (31, 2, 33), (257, 65, 32), (1000, 7, 300), (33_000, 3, 5)]
    {
        let mut noise = Noise::new(positions as u64);
        let mut tokens: Vec<f32> = noise.below(positions, rows).iter().map(|&t| t as f32).collect();
        if rows > 5 {
            // Tokens that do not occur get zeros.
            tokens.iter_mut().for_each(|t| *t = if *t == 5.0 { 4.0 } else { *t });
        }
        let table = noise.floats((rows * columns) as usize, 1.0);
        let gradient = noise.integers(positions * columns as usize, 8);
        let words = noise.words(((rows * columns) as usize).div_ceil(32));
        let n = positions as u32;
        let context = |e| panic!("{positions} of {rows} x {columns}: {e}");
        for masked in [false, true] {
            let mut rig = Rig::new(gpu);
            let (t, w) = (rig.slot("tokens", &tokens), rig.slot("table", &table));
            let m = rig.slot("mask", &words);
            let out = rig.output("out", positions * columns as usize);
            let mask = masked.then_some(m);
            rig.push(Embedding { tokens: t, table: w, mask, out, positions: n, rows, columns });
            let got: Vec<f32> = rig.run().read(out);
            let mask = masked.then_some(words.as_slice());
            let want = embedding_reference(&wide(&tokens), &wide(&table), mask, columns as usize);
            Tol::Exact.check(&got, &want).unwrap_or_else(context);
        }
        let mut rig = Rig::new(gpu);
        let (t, g) = (rig.slot("tokens", &tokens), rig.slot("gradient", &gradient));
        let out = rig.output("out", (rows * columns) as usize);
        let kernel = EmbeddingGradient { tokens: t, gradient: g, out, positions: n, rows, columns };
        kernel.push(&mut rig.plan).unwrap();
        let got: Vec<f32> = rig.run().read(out);
        let dims = [rows as usize, columns as usize];
        let want = embedding_gradient_reference(&wide(&tokens), &wide(&gradient), dims);
        Tol::Exact.check(&got, &want).unwrap_or_else(context);
    }
}

/// A token past the table reads its last row and nothing behind it.
#[test]
fn a_token_past_the_table_stays_inside() {
    let Some(gpu) = gpu() else { return };
    let mut rig = Rig::new(gpu);
    let (tokens, table) =
        (rig.slot("tokens", &[9.0f32, 1e9]), rig.slot("table", &[1f32, 2.0, 3.0]));
    let (out, sums) = (rig.output("out", 2), rig.output("sums", 3));
    let gradient = rig.slot("gradient", &[4f32, 5.0]);
    rig.push(Embedding { tokens, table, mask: None, out, positions: 2, rows: 3, columns: 1 });
    rig.push(EmbeddingGradient { tokens, gradient, out: sums, positions: 2, rows: 3, columns: 1 });
    let bench = rig.run();
    assert_eq!(bench.read::<f32>(out), [3.0, 3.0]);
    assert_eq!(bench.read::<f32>(sums), [0.0, 0.0, 9.0]);
}

#[test]
fn attention_and_its_gradients() {
    let Some(gpu) = gpu() else { return };
    let sizes = [
        (1, 1, 1, 1),
        (2, 3, 5, 4),
        (1, 2, 65, 33),
        (3, 1, 129, 65),
        (1, 1, 1024, 8),
        // Weights of more positions than a workgroup's memory holds.
        (1, 1, 1025, 2),
        (1, 1, 2060, 1),
    ];
    for (batch, heads, length, width) in sizes {
        for causal in [true, false] {
            let shape = Heads { batch, heads, length, width, causal };
            let one = (batch * heads * length * width) as usize;
            let mut noise = Noise::new(u64::from(length));
            let (x, g) = (noise.floats(3 * one, 2.0), noise.floats(one, 1.0));
            let context = |e| panic!("{shape:?}: {e}");
            let run = || {
                let mut rig = Rig::new(gpu);
                let (xs, gradient) = (rig.slot("x", &x), rig.slot("gradient", &g));
                let (out, rows) =
                    (rig.output("out", one), rig.output("rows", shape.rows() as usize));
                let back = rig.output("back", 3 * one);
                rig.push(Attention { shape, x: xs, out });
                rig.push(AttentionQueryGradient { shape, x: xs, gradient, rows, out: back });
                rig.push(AttentionKeyGradient { shape, x: xs, gradient, rows, out: back });
                let bench = rig.run();
                (bench.read::<f32>(out), bench.read::<f32>(back))
            };
            let (out, back) = run();
            let terms = 64 + (length * width) as usize;
            let (want, bounds) = bounds_of(&[&x], terms, |x| attention_reference(&shape, &x[0]));
            Tol::Within(&bounds).check(&out, &want).unwrap_or_else(context);
            let (want, bounds) =
                bounds_of(&[&g, &x], terms, |x| attention_gradient_reference(&shape, &x[0], &x[1]));
            Tol::Within(&bounds).check(&back, &want).unwrap_or_else(context);
            assert_eq!((out, back), run(), "two runs differ");
        }
    }
}
