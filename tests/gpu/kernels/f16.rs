//! Copies in halves, and the products that read them.
use half::f16;
use secateur::gpu::{Choices, Gpu, Target};
use secateur::kernels::*;

use crate::common::{Noise, Rig, Tol, U, cooperative_gpu, every_target, half_gpu};

const FORMS: [Form; 3] = [Form::NN, Form::NT, Form::TN];
/// Relative error of one rounding to 11 bits, whichever way the device rounds.
const HALF_U: f64 = 1.0 / 1024.0;
/// Smallest step between halves.
const HALF_TINY: f64 = 1.0 / (1 << 24) as f64;

/// The copy and the peak of `x [rows, columns]`, the third of four.
fn copy(gpu: &Gpu, x: &[f32], mask: Option<&[u32]>, [rows, columns]: [usize; 2]) -> Copied {
    copy_in_blocks(gpu, x, mask, [rows, columns], rows)
}

fn copy_in_blocks(
    gpu: &Gpu,
    x: &[f32],
    mask: Option<&[u32]>,
    [rows, columns]: [usize; 2],
    block: usize,
) -> Copied {
    let mut rig = Rig::new(gpu);
    let [rows, columns, block] = [rows, columns, block].map(|extent| extent as u32);
    let (x, peaks) = (rig.slot("x", x), rig.output("peaks", 4));
    let mask = mask.map(|mask| rig.slot("mask", mask));
    let words = F16Copy::words_in_blocks([rows, columns], block).unwrap();
    let out = rig.output("out", words as usize);
    let (at, len) = (2, rows * columns);
    rig.push(F16Begin { peaks: peaks_of(peaks, 4) });
    rig.push(MagnitudePeak::new([x, peaks], at, len));
    let whole = F16Copy::new([x, peaks, out], at, [rows, columns]);
    rig.push(F16Copy { mask, block, ..whole });
    let bench = rig.run();
    let halves = bench.read(out).into_iter().map(f16::from_bits).collect();
    Copied { halves, peaks: bench.read(peaks) }
}

/// The slot without the guard words behind it, which `f16_begin` would clear.
pub fn peaks_of(mut peaks: secateur::gpu::Slot, words: u32) -> secateur::gpu::Slot {
    peaks.words = words;
    peaks
}

struct Copied {
    halves: Vec<f16>,
    peaks: Vec<u32>,
}

impl Copied {
    fn values(&self) -> Vec<f64> {
        self.halves.iter().map(|half| half.to_f64()).collect()
    }
}

pub fn bounds(want: &[f64]) -> Vec<f64> {
    want.iter().map(|x| x.abs() * HALF_U + HALF_TINY).collect()
}

#[test]
fn copies_are_scaled_rounded_and_padded() {
    let Some(gpu) = half_gpu() else { return };
    let sizes = [[1, 1], [16, 16], [17, 15], [31, 33], [2, 5000]];
    for (seed, [rows, columns]) in sizes.into_iter().enumerate() {
        for scale in [1.0, 1e-30, 1e30] {
            let len = rows * columns;
            let mut noise = Noise::new(seed as u64);
            let x: Vec<f32> = noise.floats(len, 1.0).iter().map(|x| x * scale).collect();
            let bits = noise.words(len.div_ceil(32));
            for mask in [None, Some(&bits[..])] {
                let got = copy(gpu, &x, mask, [rows, columns]);
                let want = f16_copy_reference(&x, mask, [rows, columns], rows);
                let context = |e| panic!("{rows} x {columns}, {scale:e}: {e}");
                Tol::Within(&bounds(&want)).check(&got.values(), &want).unwrap_or_else(context);
                let peak = x.iter().map(|x| x.abs()).fold(0.0, f32::max);
                assert_eq!(got.peaks, [0, 0, peak.to_bits(), 0]);
                let most = got.values().into_iter().map(f64::abs).fold(0.0, f64::max);
                // A mask may hide the largest one.
                assert!(most <= 32768.0 && (mask.is_some() || most >= 16384.0 * (1.0 - HALF_U)));
            }
        }
    }
}

/// Each block of rows begins a whole sixteen, as the channels of a kernel's taps do.
#[test]
fn copies_in_blocks_are_padded_block_by_block() {
    let Some(gpu) = half_gpu() else { return };
    for [blocks, block, columns] in [[1, 5, 3], [9, 17, 20], [4, 16, 33], [25, 1, 16], [3, 50, 1]] {
        let len = blocks * block * columns;
        let mut noise = Noise::new(len as u64);
        let (x, bits) = (noise.floats(len, 1.0), noise.words(len.div_ceil(32)));
        for mask in [None, Some(&bits[..])] {
            let size = [blocks * block, columns];
            let got = copy_in_blocks(gpu, &x, mask, size, block).values();
            let want = f16_copy_reference(&x, mask, size, block);
            assert_eq!(
                want.len(),
                blocks * block.next_multiple_of(16) * columns.next_multiple_of(16)
            );
            let check = Tol::Within(&bounds(&want)).check(&got, &want);
            check.unwrap_or_else(|e| panic!("{blocks} of {block} x {columns}: {e}"));
        }
    }
    // Blocks that are not whole.
    let mut rig = Rig::new(gpu);
    let [x, peaks, out] = ["x", "peaks", "out"].map(|name| rig.output(name, 64));
    let (rows, columns, block) = (5, 1, 2);
    let copy = F16Copy { block, ..F16Copy::new([x, peaks, out], 0, [rows, columns]) };
    let error = rig.plan.push(copy).unwrap_err().to_string();
    assert!(error.contains("5 x 1 in blocks of 2"), "{error}");
}

/// Powers of two are exact, whatever else is in the tensor; what is not finite stays so.
#[test]
fn copies_of_extremes_keep_what_they_can() {
    let Some(gpu) = half_gpu() else { return };
    let (max, tiny) = (2f32.powi(127), f32::MIN_POSITIVE);
    let cases: [(&[f32], f32, &[f64]); 6] = [
        (&[0.0, -0.0], 0.0, &[0.0, 0.0]),
        (&[1.0, -0.5], 1.0, &[16384.0, -8192.0]),
        (&[max, -max / 2.0, tiny], max, &[16384.0, -8192.0, 0.0]),
        (&[f32::MAX, -f32::MAX], f32::MAX, &[32768.0, -32768.0]),
        // The power ends at 2^126, for its inverse to be no denormal.
        (&[tiny, -tiny], tiny, &[1.0, -1.0]),
        (&[1.0, f32::INFINITY, f32::NEG_INFINITY], 1.0, &[16384.0, f64::INFINITY, -f64::INFINITY]),
    ];
    for (x, peak, want) in cases {
        let got = copy(gpu, x, None, [1, x.len()]);
        assert_eq!(got.peaks[2], peak.to_bits(), "{x:?}");
        let want = want.iter().map(|&value| (value, value * f16_power(peak)));
        let close = |(&got, (want, _)): (&f64, (f64, f64))| {
            got == want || (got - want).abs() <= want.abs() * HALF_U
        };
        assert!(got.values().iter().zip(want).all(close), "{x:?}: {:?}", got.values());
    }
    let nan = copy(gpu, &[1.0, f32::NAN], None, [1, 2]);
    assert!(nan.halves[1].is_nan() && nan.halves[0] == f16::from_f32(16384.0));
}

/// What goes into a product besides the sizes.
pub struct Inputs {
    pub a: Vec<f32>,
    pub b: Vec<f32>,
    bias: Vec<f32>,
    gate: Vec<f32>,
    mask: Vec<u32>,
}

impl Inputs {
    /// Whole numbers, which halves hold and whose sums are exact in any order.
    pub fn integers([m, n, k]: [usize; 3]) -> Self {
        let mut noise = Noise::new((m * n * k) as u64);
        let [a, b, bias, gate] = [m * k, k * n, n, m * n].map(|len| noise.integers(len, 4));
        Self { a, b, bias, gate, mask: noise.words((k * n).div_ceil(32)) }
    }

    /// Of very different magnitudes.
    fn floats([m, n, k]: [usize; 3]) -> Self {
        let mut noise = Noise::new((m * n * k) as u64);
        let [a, b, bias, gate] = [m * k, k * n, n, m * n].map(|len| noise.floats(len, 1.0));
        let [a, b] = [(a, 1e-20), (b, 1e18)]
            .map(|(values, scale): (Vec<f32>, f32)| values.iter().map(|x| x * scale).collect());
        Self { a, b, bias, gate, mask: noise.words((k * n).div_ceil(32)) }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Parts {
    form: Form,
    masked: bool,
    bias: bool,
    activation: Activation,
    gate: Option<Activation>,
}

impl Parts {
    pub fn bare(form: Form) -> Self {
        let activation = Activation::Identity;
        Self { form, masked: false, bias: false, activation, gate: None }
    }

    /// Values, and bounds on the device's error.
    pub fn want(self, inputs: &Inputs, [m, n, k]: [usize; 3]) -> (Vec<f64>, Vec<f64>) {
        let mask = self.masked.then_some(&inputs.mask[..]);
        let sums = matmul_reference(self.form, (&inputs.a, &inputs.b), mask, [m, n, k]);
        let peak = |x: &[f32]| f64::from(x.iter().map(|x| x.abs()).fold(0.0, f32::max));
        // Values so far below the largest that their copies lose bits: half a step of 2^-24 /
        // power, power >= 2^14 / peak.
        let lost = k as f64 * peak(&inputs.a) * peak(&inputs.b) * 2.0 * HALF_TINY / 16384.0;
        let one = |(at, (mut value, magnitude)): (usize, (f64, f64))| {
            let rounded = 2.0 * HALF_U + HALF_U * HALF_U + 4.0 * (k as f64).sqrt() * U;
            let mut bound = rounded * magnitude + lost;
            if self.bias {
                value += f64::from(inputs.bias[at % n]);
                bound += U * value.abs();
            }
            value = self.activation.apply(value);
            if let Some(gate) = self.gate {
                let slope = gate.slope(f64::from(inputs.gate[at]));
                bound = bound * slope.abs() + 3.0 * U * value.abs();
                value *= slope;
            }
            (value, bound)
        };
        sums.into_iter().enumerate().map(one).unzip()
    }
}

fn run(
    gpu: &Gpu,
    target: Target,
    parts: &[Parts],
    inputs: &Inputs,
    size: [usize; 3],
) -> Vec<Vec<f32>> {
    let [m, n, k] = size.map(|x| x as u32);
    let mut rig = Rig::for_target(gpu, target);
    let (a, b, mask) =
        (rig.slot("a", &inputs.a), rig.slot("b", &inputs.b), rig.slot("mask", &inputs.mask));
    let (bias, gate) = (rig.slot("bias", &inputs.bias), rig.slot("gate", &inputs.gate));
    let peaks = rig.output("peaks", 2 * parts.len());
    rig.push(F16Begin { peaks: peaks_of(peaks, 2 * parts.len() as u32) });
    let mut at = 0;
    let mut product = |part: &Parts| {
        let mut copy = |x, mask, [rows, columns]: [u32; 2]| {
            let words = F16Copy::words(rows, columns).unwrap() as usize;
            let out = rig.output("half", words);
            rig.push(MagnitudePeak::new([x, peaks], at, rows * columns));
            rig.push(F16Copy { mask, ..F16Copy::new([x, peaks, out], at, [rows, columns]) });
            at += 1;
            F16Operand { copy: out, at: at - 1 }
        };
        let form = part.form;
        let a = copy(a, None, if form == Form::TN { [k, m] } else { [m, k] });
        let mask = part.masked.then_some(mask);
        let b = copy(b, mask, if form == Form::NT { [n, k] } else { [k, n] });
        let c = rig.output("c", size[0] * size[1]);
        let mut product = F16Matmul::new(form, [a, b], [peaks, c], [m, n, k]);
        (product.activation, product.bias) = (part.activation, part.bias.then_some(bias));
        product.gate = part.gate.map(|activation| (gate, activation));
        product.push(&mut rig.plan).unwrap_or_else(|e| panic!("{e}"));
        c
    };
    let results: Vec<_> = parts.iter().map(&mut product).collect();
    let bench = rig.run();
    results.into_iter().map(|c| bench.read(c)).collect()
}

fn all_parts() -> Vec<Parts> {
    let (relu, tanh) = (Activation::Relu, Some(Activation::Tanh));
    let bias = Parts { bias: true, activation: relu, ..Parts::bare(Form::NN) };
    let gated = Parts { gate: tanh, masked: true, ..Parts::bare(Form::NT) };
    FORMS.map(Parts::bare).into_iter().chain([bias, gated]).collect()
}

fn check(results: &[Vec<f32>], inputs: &Inputs, size: [usize; 3], exact: bool) {
    for (parts, got) in all_parts().iter().zip(results) {
        let (want, bounds) = parts.want(inputs, size);
        // The slope of tanh is rounded.
        let bounds = if exact && parts.gate.is_none() { vec![0.0; want.len()] } else { bounds };
        let check = Tol::Within(&bounds).check(got, &want);
        check.unwrap_or_else(|e| panic!("{size:?}, {parts:?}: {e}"));
    }
}

const SIZES: [[usize; 3]; 6] =
    [[1, 1, 1], [16, 16, 16], [33, 65, 100], [65, 127, 31], [2, 3, 70_000], [530, 510, 40]];

#[test]
fn products_of_halves_are_exact_or_inside_the_bound() {
    let Some(gpu) = half_gpu() else { return };
    for size in SIZES {
        // In every variant once: a software adapter's compiler takes seconds for each.
        let all = |inputs: &Inputs| match size {
            [33, ..] => every_target(gpu, |target| run(gpu, target, &all_parts(), inputs, size)),
            _ => run(gpu, gpu.target(), &all_parts(), inputs, size),
        };
        let [integers, floats] = [Inputs::integers(size), Inputs::floats(size)];
        check(&all(&integers), &integers, size, true);
        check(&all(&floats), &floats, size, false);
    }
}

/// The same on cooperative matrices: `SKIPPED` where the adapter has none.
#[test]
fn products_on_cooperative_matrices_are_exact_or_inside_the_bound() {
    let Some(gpu) = cooperative_gpu() else { return };
    let target = gpu.target();
    // And enough rows and columns for the largest tiles.
    for size in SIZES.into_iter().chain([[1030, 1020, 33]]) {
        let all = |inputs: &Inputs| run(gpu, target, &all_parts(), inputs, size);
        let [integers, floats] = [Inputs::integers(size), Inputs::floats(size)];
        check(&all(&integers), &integers, size, true);
        let got = all(&floats);
        check(&got, &floats, size, false);
        assert!(got == all(&floats), "{size:?}: two runs differ");
    }
}

/// Every tile on the adapter's matrices, in workgroups that are made for its subgroups and for
/// larger ones: there half of the subgroups or more have no matrices. Two tiles of rows and of
/// columns with edges, terms that end within a tile, and parts of terms.
#[test]
fn tiles_on_matrices_are_right_beside_idle_subgroups() {
    let Some(gpu) = cooperative_gpu() else { return };
    let own = Target { software: false, ..gpu.target() };
    let largest = own.largest_subgroup.unwrap();
    let wider = [1, 2, 8].map(|times| largest * times).into_iter().filter(|&size| size <= 64);
    for largest in wider {
        let target = Target { largest_subgroup: Some(largest), ..own };
        let names = Tiling::all_f16(target).into_iter().map(Tiling::name);
        for name in names.filter(|name| name.starts_with("matrices")) {
            let mut target = target;
            let places = 0..Choices::PLACES;
            assert!(places.into_iter().all(|place| target.choices.set(place, name)));
            for size in [[150, 77, 70], [34, 65, 300]] {
                let all = |inputs: &Inputs| run(gpu, target, &all_parts(), inputs, size);
                let [integers, floats] = [Inputs::integers(size), Inputs::floats(size)];
                check(&all(&integers), &integers, size, true);
                let got = all(&floats);
                check(&got, &floats, size, false);
                assert!(got == all(&floats), "{name} of {largest}, {size:?}: two runs differ");
            }
        }
    }
}

/// Sums that are added to what the result holds, in one launch and in parts.
#[test]
fn products_on_matrices_are_added_to_what_there_is() {
    let Some(gpu) = cooperative_gpu() else { return };
    let target = Target { software: false, ..gpu.target() };
    for size in [[70, 33, 50], [20, 33, 300]] {
        let [m, n, k] = size.map(|extent| extent as u32);
        let inputs = Inputs::integers(size);
        let mut rig = Rig::for_target(gpu, target);
        let (a, b) = (rig.slot("a", &inputs.a), rig.slot("b", &inputs.b));
        let c = rig.slot("c", &inputs.gate);
        let peaks = rig.output("peaks", 2);
        rig.push(F16Begin { peaks: peaks_of(peaks, 2) });
        let mut copy = |x, at, rows, columns| {
            let out = rig.output("half", F16Copy::words(rows, columns).unwrap() as usize);
            rig.push(MagnitudePeak::new([x, peaks], at, rows * columns));
            rig.push(F16Copy::new([x, peaks, out], at, [rows, columns]));
            F16Operand { copy: out, at }
        };
        let operands = [copy(a, 0, m, k), copy(b, 1, k, n)];
        let product = F16Matmul::new(Form::NN, operands, [peaks, c], size.map(|x| x as u32));
        product.push_onto(&mut rig.plan).unwrap();
        let got: Vec<f32> = rig.run().read(c);
        let (sums, _) = Parts::bare(Form::NN).want(&inputs, size);
        let want: Vec<f64> =
            sums.iter().zip(&inputs.gate).map(|(sum, &held)| sum + f64::from(held)).collect();
        let bounds = vec![0.0; want.len()];
        Tol::Within(&bounds).check(&got, &want).unwrap_or_else(|e| panic!("{size:?}: {e}"));
    }
}
