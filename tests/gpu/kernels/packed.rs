//! Products with packed matrices, in all that they do in the same pass.
use secateur::gpu::{Gpu, Slot, Target};
use secateur::kernels::*;

use crate::common::{Bench, Noise, Rig, Tol, U, gpu};

/// Shares of zeros, by rows in turn: none, half, most, all but a few far apart, and all.
const PRUNED: [u32; 5] = [0, 128, 230, 255, 256];

/// `[n, k]` of whole numbers or of floats; the rows are pruned by [`PRUNED`] in turn.
fn weights([n, k]: [usize; 2], whole: bool) -> Vec<f32> {
    let mut noise = Noise::new((n * 1000 + k) as u64);
    let mut weights = match whole {
        true => noise.integers(n * k, 4),
        false => noise.floats(n * k, 1.0),
    };
    for (at, (weight, word)) in weights.iter_mut().zip(noise.words(n * k)).enumerate() {
        if word % 256 < PRUNED[at / k % PRUNED.len()] {
            *weight = 0.0;
        }
    }
    weights
}

/// Those that are for few rows; `block_matmul.rs` has the sizes of the other.
const FEW: [PackedForm; 2] = [PackedForm::Bitmask, PackedForm::Gaps];

/// What a device may be: each packs and launches in its own way.
fn targets(gpu: &Gpu) -> [Target; 2] {
    [gpu.target(), Target { software: !gpu.target().software, ..gpu.target() }]
}

struct Case {
    m: usize,
    n: usize,
    k: usize,
    a: Vec<f32>,
    weights: Vec<f32>,
    bias: Vec<f32>,
    /// What is there before.
    c: Vec<f32>,
}

impl Case {
    fn new([m, n, k]: [usize; 3], whole: bool) -> Self {
        let mut noise = Noise::new((m + n + k) as u64);
        let mut some = |len| if whole { noise.integers(len, 4) } else { noise.floats(len, 1.0) };
        let [a, bias, c] = [m * k, n, m * n].map(&mut some);
        Self { m, n, k, a, weights: weights([n, k], whole), bias, c }
    }

    fn pack(&self, form: PackedForm, values: PackedValues, target: Target) -> PackedMatrix {
        let of = Units::new([self.k as u32, self.n as u32]).layout(Layout::OutIn);
        PackedMatrix::pack(form, of, &self.weights, values, target).unwrap()
    }

    /// The product and, of `onto`, bias and activation, all that there is.
    fn run(&self, gpu: &Gpu, matrix: &PackedMatrix, target: Target, all: bool) -> Vec<f32> {
        let (bench, c) = self.bench(gpu, matrix, target, all);
        bench.run();
        bench.read(c)
    }

    fn bench<'g>(
        &self,
        gpu: &'g Gpu,
        matrix: &PackedMatrix,
        target: Target,
        all: bool,
    ) -> (Bench<'g>, Slot) {
        let mut rig = Rig::for_target(gpu, target);
        let a = rig.slot("a", &self.a);
        let b = matrix.declare_with(|name, words| rig.slot(name, words));
        let c = if all { rig.slot("c", &self.c) } else { rig.output("c", self.m * self.n) };
        let mut product = PackedProduct::new(a, b, c, self.m as u32);
        if all {
            product.bias = Some(rig.slot("bias", &self.bias));
            (product.activation, product.onto) = (Activation::Relu, true);
        }
        product.push(&mut rig.plan).unwrap_or_else(|e| panic!("{e}"));
        (rig.build(), c)
    }

    fn sums(&self) -> Vec<(f64, f64)> {
        let size = [self.m, self.n, self.k];
        matmul_reference(Form::NT, (&self.a, &self.weights), None, size)
    }
}

/// Around a word of bits, a block of gaps, a slice and a workgroup, with rows that are empty or
/// full.
#[test]
fn integers_are_exact_at_every_size() {
    let Some(gpu) = gpu() else { return };
    for (m, n, k) in [
        (1, 1, 1),
        (1, 5, 31),
        (2, 8, 32),
        (3, 9, 33),
        (4, 64, 7),
        (5, 65, 100),
        (8, 7, 300),
        (9, 130, 65),
        (17, 33, 257),
    ] {
        let case = Case::new([m, n, k], true);
        let want: Vec<f64> = case.sums().into_iter().map(|(sum, _)| sum).collect();
        for form in FEW {
            for target in targets(gpu) {
                let matrix = case.pack(form, PackedValues::F32, target);
                assert_eq!(matrix.dense(Layout::OutIn), case.weights, "{form:?}");
                let got = case.run(gpu, &matrix, target, false);
                let context = |e| panic!("{form:?}, {m} x {n} x {k}, {target:?}: {e}");
                Tol::Exact.check(&got, &want).unwrap_or_else(context);
            }
        }
    }
}

/// Bias, activation, and what is there before.
#[test]
fn what_is_done_to_the_sums_is_done_once() {
    let Some(gpu) = gpu() else { return };
    let case = Case::new([3, 70, 300], true);
    let sums = case.sums().into_iter().zip(&case.c).zip(case.bias.iter().cycle());
    let want = sums.map(|(((sum, _), c), b)| (sum + f64::from(*c) + f64::from(*b)).max(0.0));
    let want: Vec<f64> = want.collect();
    for form in PackedForm::ALL {
        for target in targets(gpu) {
            let matrix = case.pack(form, PackedValues::F32, target);
            let got = case.run(gpu, &matrix, target, true);
            Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{form:?}, {target:?}: {e}"));
        }
    }
}

/// Rows in the middle of a sequence's: what is before and behind them in `c` stays, and in `a` counts
/// for nothing.
#[test]
fn a_time_of_many_is_where_it_begins() {
    let Some(gpu) = gpu() else { return };
    for m in [1, 3, 9, 40] {
        let case = Case::new([m, 37, 70], true);
        let (before, after) = (vec![f32::NAN; 2 * m * case.k], vec![f32::NAN; case.k]);
        let a = [&before[..], &case.a, &after].concat();
        let held = vec![-7.0; m * case.n];
        let c = [&held[..], &case.c, &held].concat();
        let sums = case.sums().into_iter().zip(&case.c).map(|((sum, _), c)| sum + f64::from(*c));
        let want: Vec<f64> = sums.collect();
        for form in PackedForm::ALL {
            for target in targets(gpu) {
                let matrix = case.pack(form, PackedValues::F32, target);
                let mut rig = Rig::for_target(gpu, target);
                let [a, c] = [&a, &c].map(|values| rig.slot("operand", values));
                let b = matrix.declare_with(|name, words| rig.slot(name, words));
                let mut product = PackedProduct::new(a, b, c, m as u32);
                product.begin = [before.len(), held.len()].map(|len| len as u32);
                product.onto = true;
                product.push(&mut rig.plan).unwrap_or_else(|e| panic!("{e}"));
                let got: Vec<f32> = rig.run().read(c);
                let (first, rest) = got.split_at(held.len());
                let (got, last) = rest.split_at(want.len());
                assert_eq!([first, last], [&held[..]; 2], "{form:?}, {m} rows");
                let context = |e| panic!("{form:?}, {m} rows, {target:?}: {e}");
                Tol::Exact.check(got, &want).unwrap_or_else(context);
            }
        }
    }
}

/// So many inputs that rows are shared by several strands, and gaps are of either width.
#[test]
fn floats_stay_inside_the_bound_of_their_sums_and_repeat() {
    let Some(gpu) = gpu() else { return };
    for (m, kept) in [(1, 128), (6, 20)] {
        let mut case = Case::new([m, 40, 4000], false);
        let words = Noise::new(9).words(case.weights.len());
        for (weight, word) in case.weights.iter_mut().zip(words) {
            *weight = if word % 256 < kept { *weight + 2.0 } else { 0.0 };
        }
        let (want, magnitudes): (Vec<f64>, Vec<f64>) = case.sums().into_iter().unzip();
        for form in FEW {
            for target in targets(gpu) {
                let matrix = case.pack(form, PackedValues::F32, target);
                let got = case.run(gpu, &matrix, target, false);
                let sum = Tol::Sum { terms: case.k, magnitude: &magnitudes };
                sum.check(&got, &want).unwrap_or_else(|e| panic!("{form:?}, {target:?}: {e}"));
                let again = case.run(gpu, &matrix, target, false);
                let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(&again), bits(&got), "{form:?}, {target:?}");
            }
        }
    }
}

/// Each weight is off by half a unit of f16 at most: 2^-11 of it, and 2^-25 where it is tiny.
#[test]
fn halves_are_the_nearest() {
    let Some(gpu) = gpu() else { return };
    let case = Case::new([2, 33, 300], false);
    let (want, bounds): (Vec<f64>, Vec<f64>) = case
        .sums()
        .into_iter()
        .map(|(sum, magnitude)| {
            let tiny = case.k as f64 * 2f64.powi(-25);
            (sum, tiny + magnitude * (2f64.powi(-11) + 4.0 * (case.k as f64).sqrt() * U))
        })
        .unzip();
    for form in PackedForm::ALL {
        for target in targets(gpu) {
            let matrix = case.pack(form, PackedValues::F16, target);
            let got = case.run(gpu, &matrix, target, false);
            Tol::Within(&bounds).check(&got, &want).unwrap_or_else(|e| panic!("{form:?}: {e}"));
            assert!(matrix.bytes() < case.pack(form, PackedValues::F32, target).bytes());
        }
    }
}
