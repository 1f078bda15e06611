//! `matvec`: products of one row, whose bits are those of `matmul`.
use secateur::gpu::{PlanBuilder, Target};
use secateur::kernels::*;

use crate::common::{Noise, Rig, Tol, U, gpu};

/// Of one size and form, with everything that it does besides: by the sums of the general product,
/// which are held to the reference.
fn check(form: Form, [n, k]: [usize; 2], parts: bool, adds: bool) {
    let Some(gpu) = gpu() else { return };
    let mut noise = Noise::new((n * k) as u64);
    let [a, b, bias, before] = [k, n * k, n, n].map(|len| noise.floats(len, 1.0));
    let target = Target { software: true, ..Target::default() };
    let mut rig = Rig::for_target(gpu, target);
    let (a_at, b_at, bias_at) = (rig.slot("a", &a), rig.slot("b", &b), rig.slot("bias", &bias));
    let (sums, c) = (rig.output("sums", n), rig.slot("c", &before));
    let size = [1, n as u32, k as u32];
    Matmul::new(form, [a_at, b_at, sums], size).push_as(Tiling::Blocks, &mut rig.plan).unwrap();
    let mut product = Matmul::new(form, [a_at, b_at, c], size);
    if parts {
        (product.bias, product.activation) = (Some(bias_at), Activation::Relu);
    }
    match adds {
        true => product.push_onto(&mut rig.plan),
        false => product.push(&mut rig.plan),
    }
    .unwrap();
    let context = format!("{form:?}, n {n}, k {k}, {parts}, {adds}");
    assert_eq!(rig.plan.to_string().matches("\n  matvec ").count(), 1, "{context}: {}", rig.plan);
    let bench = rig.run();
    let (sums, got): (Vec<f32>, Vec<f32>) = (bench.read(sums), bench.read(c));
    let one = |j: usize| {
        let sum = sums[j] + if adds { before[j] } else { 0.0 };
        if parts { (sum + bias[j]).max(0.0) } else { sum }
    };
    let want: Vec<f32> = (0..n).map(one).collect();
    Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{context}: {e}"));
    let reference = matmul_reference(form, (&a, &b), None, [1, n, k]).into_iter();
    let bound = |(sum, magnitude): (f64, f64)| (sum, 4.0 * (k as f64).sqrt() * U * magnitude);
    let (want, bounds): (Vec<f64>, Vec<f64>) = reference.map(bound).unzip();
    Tol::Within(&bounds).check(&sums, &want).unwrap_or_else(|e| panic!("{context}: {e}"));
}

#[test]
fn one_row_has_the_bits_of_the_general_product() {
    for (n, k) in [(1, 4), (3, 8), (63, 100), (64, 36), (65, 576), (129, 4)] {
        check(Form::NT, [n, k], false, false);
    }
    for (n, k) in [(4, 4), (124, 8), (128, 100), (132, 36), (260, 12)] {
        check(Form::NN, [n, k], false, false);
    }
}

#[test]
fn bias_activation_and_what_is_there_are_added() {
    for form in [Form::NT, Form::NN] {
        check(form, [68, 40], true, false);
        check(form, [68, 40], false, true);
        check(form, [68, 40], true, true);
    }
}

/// What it does not know is the general product's, and what no product is is refused.
#[test]
fn other_products_are_not_its_own() {
    let target = Target { software: true, ..Target::default() };
    let mut plan = PlanBuilder::new(target);
    let [a, b, c, mask] = ["a", "b", "c", "mask"].map(|name| plan.persistent(name, 1 << 18));
    let of = |form, size| Matmul::new(form, [a, b, c], size);
    assert!(Matvec::of(&of(Form::NT, [1, 3, 8]), false, target).is_some());
    let other = [
        of(Form::NT, [2, 3, 8]),
        of(Form::NT, [1, 3, 6]),
        of(Form::NN, [1, 6, 8]),
        of(Form::TN, [1, 4, 8]),
        of(Form::NT, [1, 4, 30_004]),
        of(Form::NT, [1, 0, 4]),
    ];
    assert!(other.iter().all(|product| Matvec::of(product, false, target).is_none()));
    let mut masked = of(Form::NT, [1, 4, 8]);
    masked.mask = Some(mask);
    assert!(Matvec::of(&masked, false, target).is_none());
    let mut gated = of(Form::NT, [1, 4, 8]);
    gated.gate = Some((mask, Activation::Relu));
    assert!(Matvec::of(&gated, false, target).is_none());
    let mut inside = of(Form::NT, [1, 4, 8]);
    inside.begin = [4, 0];
    assert!(Matvec::of(&inside, false, target).is_none());
    assert!(Matvec::of(&of(Form::NT, [1, 4, 8]), false, Target::default()).is_none());
    plan.phase("test");
    let adds = false;
    let (form, bias, activation) = (Form::NN, None, Activation::Identity);
    let one = Matvec { form, a, b, bias, activation, c, n: 6, k: 8, adds };
    assert!(plan.push(one).unwrap_err().to_string().contains("whole fours"));
}
