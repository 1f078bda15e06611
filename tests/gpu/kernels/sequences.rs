//! `dropout` and `embedding` with its gradient, `rotary` and `pad`.
use secateur::kernels::*;

use super::LENGTHS;
use crate::common::{Noise, Rig, Tol, gpu};

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
        let kernel = TableGradient { tokens: t, gradient: g, out, positions: n, rows, columns };
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
    let back = TableGradient { tokens, gradient, out: sums, positions: 2, rows: 3, columns: 1 };
    back.push(&mut rig.plan).unwrap();
    let bench = rig.run();
    assert_eq!(bench.read::<f32>(out), [3.0, 3.0]);
    assert_eq!(bench.read::<f32>(sums), [0.0, 0.0, 9.0]);
}

/// Positions turned and turned back, in both layouts; channels that do not turn stay.
#[test]
fn rotary_positions_turn_and_turn_back() {
    let Some(gpu) = gpu() else { return };
    // The last has more elements than the longest of the awkward lengths.
    for (rows, length, heads, turned, width, pairs) in [
        (1, 1, 1, 1, 2, 1),
        (2, 3, 5, 3, 6, 3),
        (3, 7, 2, 2, 9, 4),
        (1, 33, 4, 1, 8, 2),
        (5, 257, 3, 3, 20, 10),
    ] {
        for interleaved in [false, true] {
            let (channels, turned) = (heads * width, turned * width);
            let shape = Turned { rows, length, channels, turned, width, pairs, interleaved };
            let len = (rows * length * channels) as usize;
            let mut noise = Noise::new(len as u64);
            let x = noise.floats(len, 2.0);
            let angles = noise.floats((length * pairs) as usize, 3.0);
            let table: Vec<f32> = angles.iter().flat_map(|a| [a.cos(), a.sin()]).collect();
            let mut rig = Rig::new(gpu);
            let (xs, table_slot) = (rig.slot("x", &x), rig.slot("table", &table));
            let (there, back) = (rig.output("there", len), rig.output("back", len));
            let turn = |x, out, back| Rotary { shape, x, table: table_slot, out, back };
            rig.push(turn(xs, there, false));
            rig.push(turn(there, back, true));
            let bench = rig.run();
            let context = |e| panic!("{shape:?}: {e}");
            let got: Vec<f32> = bench.read(there);
            let want = rotary_reference(&shape, &wide(&x), &wide(&table), false);
            // Two products of at most 2, each rounded, and their sum.
            let bounds = vec![8.0 * crate::common::U; len];
            Tol::Within(&bounds).check(&got, &want).unwrap_or_else(context);
            let returned: Vec<f32> = bench.read(back);
            let want = rotary_reference(&shape, &wide(&got), &wide(&table), true);
            Tol::Within(&bounds).check(&returned, &want).unwrap_or_else(context);
            // The lengths of sines and cosines that were rounded are 1 within four units.
            let bounds = vec![32.0 * crate::common::U; len];
            Tol::Within(&bounds).check(&returned, &x).unwrap_or_else(context);
            let moved = got.iter().zip(&x).filter(|(a, b)| a != b).count();
            let turning = (rows * length * turned / width * pairs * 2) as usize;
            assert!(moved <= turning && moved * 2 > turning, "{shape:?}: {moved} of {turning}");
        }
    }
}

#[test]
fn zeros_lie_around_what_is_padded() {
    let Some(gpu) = gpu() else { return };
    let mut sections: Vec<Section> = LENGTHS
        .iter()
        .map(|&len| Section { outer: 1, extent: len as u32, inner: 1, begin: 0, part: len as u32 })
        .collect();
    sections.extend([
        Section { outer: 3, extent: 7, inner: 5, begin: 2, part: 4 },
        Section { outer: 1, extent: 33, inner: 31, begin: 32, part: 1 },
        Section { outer: 257, extent: 2, inner: 1, begin: 0, part: 1 },
    ]);
    for section in sections {
        let Section { outer, extent, inner, part, .. } = section;
        let x = Noise::new(extent.into()).floats((outer * part * inner) as usize, 1.0);
        let mut rig = Rig::new(gpu);
        let (xs, out) = (rig.slot("x", &x), rig.output("out", (outer * extent * inner) as usize));
        rig.push(Pad { section, x: xs, out });
        let got: Vec<f32> = rig.run().read(out);
        let want = pad_reference(&section, &wide(&x));
        Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{section:?}: {e}"));
        assert_eq!(slice_reference(&section, &want), wide(&x), "{section:?}");
    }
}
