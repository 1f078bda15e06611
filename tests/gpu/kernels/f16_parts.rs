//! Copies in halves of parts of matrices, and products into parts of slots.
use half::f16;
use secateur::kernels::*;

use super::f16::{Inputs, Parts, bounds, peaks_of};
use crate::common::{Noise, Rig, Tol, gpu_targets, half_gpu};

/// Columns of a part of the rows, with the mask's bits where they are in the whole; nothing beside
/// the part is read.
#[test]
fn copies_of_parts_have_their_place() {
    let Some(gpu) = half_gpu() else { return };
    for [rows, columns, row, column] in [[5, 37, 1, 0], [20, 40, 3, 20], [19, 33, 18, 32]] {
        let mut noise = Noise::new((rows * columns) as u64);
        let (x, bits) =
            (noise.floats(rows * columns, 1.0), noise.words((rows * columns).div_ceil(32)));
        let [height, width] = [rows - row, columns - column];
        let of_part = |at: usize| (row + at / width) * columns + column + at % width;
        let part: Vec<f32> = (0..height * width).map(|at| x[of_part(at)]).collect();
        let mut part_bits = vec![0; part.len().div_ceil(32)];
        for at in (0..part.len()).filter(|&at| bit(&bits, of_part(at))) {
            part_bits[at / 32] |= 1 << (at % 32);
        }
        // A peak of its own, where others are so large that they would take it over all halves.
        let inside = |at: usize| at / columns >= row && at % columns >= column;
        let beside = |(at, &x): (usize, &f32)| if inside(at) { x } else { f32::NAN };
        let whole: Vec<f32> = x.iter().enumerate().map(beside).collect();
        for masked in [false, true] {
            let mut rig = Rig::new(gpu);
            let (x, mask) = (rig.slot("x", &whole), rig.slot("mask", &bits));
            let (own, peaks) = (rig.slot("part", &part), rig.output("peaks", 1));
            let [rows, columns_of_part] = [height as u32, width as u32];
            let words = F16Copy::words(rows, columns_of_part).unwrap();
            let out = rig.output("out", words as usize);
            rig.push(F16Begin { peaks: peaks_of(peaks, 1) });
            rig.push(MagnitudePeak::new([own, peaks], 0, part.len() as u32));
            let begin = (row * columns + column) as u32;
            let made = F16Copy::new([x, peaks, out], 0, [rows, columns_of_part]);
            let mask = masked.then_some(mask);
            rig.push(F16Copy { mask, begin, stride: columns as u32, ..made });
            let halves: Vec<u16> = rig.run().read(out);
            let got: Vec<f64> = halves.into_iter().map(|h| f16::from_bits(h).to_f64()).collect();
            let mask = masked.then_some(&part_bits[..]);
            let want = f16_copy_reference(&part, mask, [height, width], height);
            let context = |e| panic!("{height} x {width} of {columns}: {e}");
            Tol::Within(&bounds(&want)).check(&got, &want).unwrap_or_else(context);
        }
    }
}

/// The peak of a part, and a product whose result begins within a slot, with its terms in one go and
/// in parts. Nothing beside it is touched.
#[test]
fn products_of_halves_begin_where_they_are_told() {
    let Some(gpu) = half_gpu() else { return };
    let (before, after) = (37, 21);
    for size in [[33, 18, 40], [20, 33, 300]] {
        let [m, n, k] = size.map(|extent| extent as u32);
        let inputs = Inputs::integers(size);
        for target in [gpu.target(), gpu_targets(gpu)[0]] {
            for onto in [false, true] {
                let mut rig = Rig::for_target(gpu, target);
                // Larger values before a, which are no part of it.
                let long: Vec<f32> = [64.0; 5].iter().chain(&inputs.a).copied().collect();
                let (a, b) = (rig.slot("a", &long), rig.slot("b", &inputs.b));
                let held = Noise::new(9).integers(before + size[0] * size[1] + after, 4);
                let (c, peaks) = (rig.slot("c", &held), rig.output("peaks", 2));
                rig.push(F16Begin { peaks: peaks_of(peaks, 2) });
                let mut copy = |x, begin, at, rows, columns| {
                    let out = rig.output("half", F16Copy::words(rows, columns).unwrap() as usize);
                    let peak = MagnitudePeak::new([x, peaks], at, rows * columns);
                    rig.push(MagnitudePeak { begin, ..peak });
                    let made = F16Copy::new([x, peaks, out], at, [rows, columns]);
                    rig.push(F16Copy { begin, ..made });
                    F16Operand { copy: out, at }
                };
                let operands = [copy(a, 5, 0, m, k), copy(b, 0, 1, k, n)];
                let mut product = F16Matmul::new(Form::NN, operands, [peaks, c], [m, n, k]);
                product.begin = before as u32;
                match onto {
                    true => product.push_onto(&mut rig.plan).unwrap(),
                    false => product.push(&mut rig.plan).unwrap(),
                }
                let bench = rig.run();
                let (sums, _) = Parts::bare(Form::NN).want(&inputs, size);
                let mut want: Vec<f64> = held.iter().map(|&x| x.into()).collect();
                for (at, sum) in sums.into_iter().enumerate() {
                    let there = if onto { want[before + at] } else { 0.0 };
                    want[before + at] = there + sum;
                }
                let got: Vec<f64> = bench.read::<f32>(c).iter().map(|&x| x.into()).collect();
                assert!(got == want, "{size:?}, onto {onto}, {target:?}");
                let peak = inputs.a.iter().map(|x| x.abs()).fold(0.0, f32::max);
                assert_eq!(bench.read::<u32>(peaks)[0], peak.to_bits());
            }
        }
    }
}
