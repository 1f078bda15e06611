//! Products whose terms are split among workgroups, and the sums of the parts.
use secateur::gpu::{Gpu, Slot, Target};
use secateur::kernels::*;

use crate::common::{Noise, Rig, Tol, U, each_kind, gpu, gpu_targets};

const FORMS: [Form; 3] = [Form::NN, Form::NT, Form::TN];

/// A product, what is done to it, and what is there before.
struct Case {
    form: Form,
    size: [usize; 3],
    a: Vec<f32>,
    b: Vec<f32>,
    mask: Vec<u32>,
    bias: Vec<f32>,
    gate: Vec<f32>,
    before: Vec<f32>,
}

impl Case {
    fn new(form: Form, size: [usize; 3], values: impl Fn(&mut Noise, usize) -> Vec<f32>) -> Self {
        let [m, n, k] = size;
        let mut noise = Noise::new((m * n * k) as u64);
        let [a, b] = [m * k, k * n].map(|len| values(&mut noise, len));
        let [bias, gate, before] = [n, m * n, m * n].map(|len| values(&mut noise, len));
        let mask = noise.words((k * n).div_ceil(32));
        Self { form, size, a, b, mask, bias, gate, before }
    }

    /// All that a product can do, added to what is there.
    fn push(&self, rig: &mut Rig<'_>) -> Slot {
        let (a, b) = (rig.slot("a", &self.a), rig.slot("b", &self.b));
        let c = rig.slot("c", &self.before);
        let mut product = Matmul::new(self.form, [a, b, c], self.size.map(|x| x as u32));
        product.mask = Some(rig.slot("mask", &self.mask));
        product.bias = Some(rig.slot("bias", &self.bias));
        product.gate = Some((rig.slot("gate", &self.gate), Activation::Relu));
        product.activation = Activation::Relu;
        product.push_onto(&mut rig.plan).unwrap_or_else(|e| panic!("{e}"));
        c
    }

    fn run(&self, gpu: &Gpu, target: Target) -> Vec<f32> {
        let mut rig = Rig::for_target(gpu, target);
        let c = self.push(&mut rig);
        assert_eq!(rig.plan.to_string().contains("SPLIT"), !target.software, "{:?}", self.size);
        rig.run().read(c)
    }

    fn want(&self) -> (Vec<f64>, Vec<f64>) {
        let [_, n, k] = self.size;
        let sums = matmul_reference(self.form, (&self.a, &self.b), Some(&self.mask), self.size);
        let one = |(at, (sum, magnitude)): (usize, (f64, f64))| {
            let all = sum + f64::from(self.before[at]) + f64::from(self.bias[at % n]);
            let value = if self.gate[at] > 0.0 { all.max(0.0) } else { 0.0 };
            // Each term rounds once into its part, each part once into the sum, and two more.
            let bound = 4.0 * (k as f64).sqrt() * U * magnitude + 2.0 * U * all.abs();
            (value, bound)
        };
        sums.into_iter().enumerate().map(one).unzip()
    }
}

/// Ragged in every direction; a part of few terms at the end, and parts that are as long as loops
/// may be.
const SIZES: [[usize; 3]; 5] =
    [[1, 1, 256], [33, 65, 300], [31, 33, 777], [100, 10, 1025], [3, 2, 70_000]];

#[test]
fn whole_numbers_are_exact() {
    let Some(gpu) = gpu() else { return };
    for size in SIZES {
        for form in FORMS {
            let case = Case::new(form, size, |noise, len| noise.integers(len, 3));
            let (want, _) = case.want();
            for target in gpu_targets(gpu) {
                let check = Tol::Exact.check(&case.run(gpu, target), &want);
                check.unwrap_or_else(|e| panic!("{size:?}, {form:?}: {e}"));
            }
        }
    }
}

/// In every variant to the same bits, again and again.
#[test]
fn floats_stay_inside_the_bound_of_their_sums() {
    let Some(gpu) = gpu() else { return };
    for size in [[33, 65, 300], [2, 40, 2000]] {
        for form in FORMS {
            let case = Case::new(form, size, |noise, len| noise.floats(len, 1.0));
            let (want, bounds) = case.want();
            let run = || each_kind(gpu, |target| case.run(gpu, target));
            for (got, again) in run().into_iter().zip(run()) {
                let check = Tol::Within(&bounds).check(&got, &want);
                check.unwrap_or_else(|e| panic!("{size:?}, {form:?}: {e}"));
                let same = got.iter().zip(&again).all(|(x, y)| x.to_bits() == y.to_bits());
                assert!(same, "{size:?}, {form:?}: two runs differ");
            }
        }
    }
}

/// The parts are what the product means: small terms of one part meet before they are added to
/// another's large one, beside which each alone is lost.
#[test]
fn each_part_is_summed_up_from_zero() {
    let Some(gpu) = gpu() else { return };
    let (k, large) = (1024, 2f32.powi(24));
    let mut a = vec![0.0; k];
    (a[0], a[k - 2], a[k - 1]) = (large, 1.0, 1.0);
    let b = vec![1f32; k];
    let sums = each_kind(gpu, |target| {
        let mut rig = Rig::for_target(gpu, target);
        let (a, b, c) = (rig.slot("a", &a), rig.slot("b", &b), rig.output("c", 1));
        Matmul::new(Form::NN, [a, b, c], [1, 1, k as u32]).push(&mut rig.plan).unwrap();
        rig.run().read::<f32>(c)[0]
    });
    assert_eq!(sums, [large, large + 2.0]);
}

/// Launches of a workgroup each come to the same bits.
#[test]
fn pieces_give_the_same_bits() {
    let Some(gpu) = gpu() else { return };
    let case = Case::new(Form::TN, [33, 65, 300], |noise, len| noise.floats(len, 1.0));
    for target in gpu_targets(gpu) {
        let whole = case.run(gpu, target);
        let pieces = case.run(gpu, Target { most_operations: Some(1), ..target });
        assert!(whole == pieces, "{target:?}");
    }
}

/// A matrix among others: where it begins in a and c.
#[test]
fn products_begin_where_they_are_told() {
    let Some(gpu) = gpu() else { return };
    let [m, n, k] = [5u32, 9, 400];
    let [m_, n_, k_] = [m, n, k].map(|x| x as usize);
    let mut noise = Noise::new(7);
    let (a, b) = (noise.integers(2 * m_ * k_, 3), noise.integers(k_ * n_, 3));
    for target in gpu_targets(gpu) {
        let mut rig = Rig::for_target(gpu, target);
        let (sa, sb) = (rig.slot("a", &a), rig.slot("b", &b));
        let c = rig.slot("c", &vec![9f32; 3 * m_ * n_]);
        let mut product = Matmul::new(Form::NN, [sa, sb, c], [m, n, k]);
        product.begin = [m * k, m * n];
        product.push(&mut rig.plan).unwrap();
        let got: Vec<f32> = rig.run().read(c);
        let product = matmul_reference(Form::NN, (&a[m_ * k_..], &b), None, [m_, n_, k_]);
        let around = vec![9.0; m_ * n_];
        let middle = product.iter().map(|p| p.0).collect();
        Tol::Exact.check(&got, &[around.clone(), middle, around].concat()).unwrap();
    }
}

/// Of few results in each group, and more than one launch of a software adapter adds up.
#[test]
fn gradients_of_kernels_are_exact() {
    let Some(gpu) = gpu() else { return };
    let base = Convolution {
        images: 3,
        size: [13, 11],
        channels: 6,
        kernel: [3, 2],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [1, 0],
        out: [13, 10],
        outputs: 9,
        groups: 3,
    };
    let long = Convolution {
        images: 64,
        size: [24, 24],
        channels: 1,
        kernel: [3, 3],
        pad: [1, 1],
        out: [24, 24],
        outputs: 2,
        groups: 1,
        ..base
    };
    for s in [base, Convolution { groups: 1, ..base }, long] {
        let [x, w, y] = [s.input_len(), s.weight_len(), s.output_len()].map(|n| n as usize);
        let mut noise = Noise::new(s.input_len());
        let [xs, ys, before] = [x, y, w].map(|len| noise.integers(len, 3));
        let sums = conv2d_reference(Form::TN, &s, (&xs, &ys), None);
        let want: Vec<f64> =
            sums.iter().zip(&before).map(|((sum, _), c)| sum + f64::from(*c)).collect();
        for target in gpu_targets(gpu) {
            let mut rig = Rig::for_target(gpu, target);
            let (a, b, c) = (rig.slot("a", &xs), rig.slot("b", &ys), rig.slot("c", &before));
            Conv2d::new(Form::TN, s, [a, b, c]).push_onto(&mut rig.plan).unwrap();
            assert!(rig.plan.to_string().contains("SPLIT"), "{s:?}");
            let got: Vec<f32> = rig.run().read(c);
            Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{s:?}: {e}"));
        }
    }
}

/// Every number of parts around the four that are loaded at once, each with all that is done to
/// sums.
#[test]
fn sums_of_parts() {
    let Some(gpu) = gpu() else { return };
    for (count, len) in [(1, 1), (2, 63), (3, 64), (4, 65), (5, 255), (9, 257), (30, 1000)] {
        let mut noise = Noise::new(len as u64);
        let parts = noise.floats(count * len, 1.0);
        let units = len.div_ceil(3);
        let (bias, before) = (noise.floats(units, 1.0), noise.floats(len + 2, 1.0));
        let gate = noise.floats(len + 2, 1.0);
        for (adds, activation) in [(false, Activation::Identity), (true, Activation::Relu)] {
            let mut rig = Rig::new(gpu);
            let (p, c) = (rig.slot("parts", &parts), rig.slot("c", &before));
            let bias_at = adds.then(|| rig.slot("bias", &bias));
            let gated = adds.then(|| (rig.slot("gate", &gate), Activation::Relu));
            rig.push(PartSum {
                parts: p,
                count: count as u32,
                len: len as u32,
                bias: bias_at,
                units: units as u32,
                activation,
                gate: gated,
                c,
                begin: 2,
                adds,
            });
            let got: Vec<f32> = rig.run().read(c);
            assert_eq!(got[..2], before[..2], "what is before is left alone");
            let sums = part_sum_reference(&parts, len);
            let one = |(i, (sum, magnitude)): (usize, (f64, f64))| {
                let mut value = sum;
                if adds {
                    value += f64::from(before[i + 2]) + f64::from(bias[i % units]);
                    value = if gate[i + 2] > 0.0 { value.max(0.0) } else { 0.0 };
                }
                (value, U * (count + 2) as f64 * (magnitude + 2.0))
            };
            let (want, bounds): (Vec<f64>, Vec<f64>) =
                sums.into_iter().enumerate().map(one).unzip();
            let check = Tol::Within(&bounds).check(&got[2..], &want);
            check.unwrap_or_else(|e| panic!("{count} parts of {len}: {e}"));
        }
    }
}
