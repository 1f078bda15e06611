//! `matvec`: products of one row, whose bits are those of `matmul`.
use secateur::gpu::{PlanBuilder, Target};
use secateur::kernels::*;

use crate::common::{Noise, Rig, Tol, U, gpu};

/// Of one size and form, with everything that it does besides: the result behind it and the sums'
/// bounds.
fn check(form: Form, [n, k]: [usize; 2], parts: bool, adds: bool) {
    let Some(gpu) = gpu() else { return };
    let mut noise = Noise::new((n * k) as u64);
    let [a, b, bias, before] = [k, n * k, n, n].map(|len| noise.floats(len, 1.0));
    let activation = if parts { Activation::Relu } else { Activation::Identity };
    let run = |target: Target| {
        let mut rig = Rig::for_target(gpu, target);
        let (a, b, c) = (rig.slot("a", &a), rig.slot("b", &b), rig.slot("c", &before));
        let bias = rig.slot("bias", &bias);
        let mut product = Matmul::new(form, [a, b, c], [1, n as u32, k as u32]);
        (product.bias, product.activation) = (parts.then_some(bias), activation);
        match adds {
            true => product.push_onto(&mut rig.plan),
            false => product.push(&mut rig.plan),
        }
        .unwrap();
        let name = if target.software { "matvec" } else { "matmul" };
        assert!(rig.plan.to_string().contains(&format!("\n  {name} ")), "{}", rig.plan);
        rig.run().read::<f32>(c)
    };
    let got = run(Target { software: true, ..Target::default() });
    let context = format!("{form:?}, n {n}, k {k}, {parts}, {adds}");
    assert!(got == run(Target::default()), "{context}: other bits than matmul's");
    let sums = matmul_reference(form, (&a, &b), None, [1, n, k]);
    let one = |(j, (mut value, magnitude)): (usize, (f64, f64))| {
        let mut bound = 4.0 * (k as f64).sqrt() * U * magnitude;
        for more in [adds.then(|| before[j]), parts.then(|| bias[j])].into_iter().flatten() {
            value += f64::from(more);
            bound += U * (value.abs() + bound);
        }
        (activation.apply(value), bound)
    };
    let (want, bounds): (Vec<f64>, Vec<f64>) = sums.into_iter().enumerate().map(one).unzip();
    Tol::Within(&bounds).check(&got, &want).unwrap_or_else(|e| panic!("{context}: {e}"));
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
