//! Each check sees a fault: it is given a reference that is wrong in one element.
use super::compared::Compared;
use super::*;
use crate::gpu::GpuOptions;
use crate::kernels::{Form, Step};

#[path = "../../../tests/common/needs.rs"]
mod needs;

/// An adapter, or none with a line that says so.
fn gpu() -> Option<Gpu> {
    let options = GpuOptions::from_env().expect("options that are none are a mistake");
    match Gpu::open(&options) {
        Ok(gpu) => Some(gpu),
        Err(e @ Error::NoAdapter { .. }) => {
            needs::missing(needs::GPU, e);
            None
        }
        Err(e) => panic!("{e}"),
    }
}

/// The check fails by its first fault, whose place is `place`.
fn fails(found: Result<Found>, place: &str) {
    let found = found.expect("the device works");
    assert!(!found.passed && found.detail.contains(place), "{found:?}");
}

#[test]
fn products_and_convolutions_see_a_wrong_element() {
    let Some(gpu) = gpu() else { return };
    let found = products::check(&gpu, |form, operands, mask, extents| {
        let mut all = matmul_reference(form, operands, mask, extents);
        // Within five thousandths: an error that half precision would make.
        if form == Form::TN && extents[0] == 33 {
            all[7].0 += 5e-3;
        }
        all
    });
    fails(found, "TN 33x65x100, element 7");
    let found = convolution::check(&gpu, |form, shape, operands, mask| {
        let mut all = conv2d_reference(form, shape, operands, mask);
        if form == Form::NT && shape.groups == 3 {
            all[5].0 += 1e-3;
        }
        all
    });
    fails(found, "NT of shape 3, element 5");
}

#[test]
fn a_selection_of_one_weight_too_many_is_seen() {
    let Some(gpu) = gpu() else { return };
    let found = selection::counts(&gpu, |values, protect, prune| {
        topk_reference(values, protect, prune + usize::from(values.len() == 1000))
    });
    fails(found, "500 of 1000 weights, word");
}

#[test]
fn the_optimizer_and_the_losses_see_a_wrong_element() {
    let Some(gpu) = gpu() else { return };
    let found = optimizer::check(&gpu, |weights, moments, mask, how, step| {
        // The correction of another step.
        let step = Step { correction2: 0.5 * step.correction2, ..*step };
        adam_reference(weights, moments, mask, how, &step)
    });
    fails(found, "weight of ");
    let found = losses::softmax(&gpu, |x, columns| {
        let mut all = softmax_reference(x, columns);
        all[0] *= 1.001;
        all
    });
    fails(found, "element 0");
    let found = losses::cross_entropy(&gpu, |logits, labels, classes, _, step| {
        softmax_cross_entropy_reference(logits, labels, classes, 0.1, step)
    });
    fails(found, "losses of 1x2");
}

#[test]
fn attention_sees_a_wrong_element() {
    let Some(gpu) = gpu() else { return };
    let case = attention::Case::new(70);
    let mut want = case.want();
    let found = case.check(&gpu, &want).expect("the device works");
    assert!(found.passed, "{found:?}");
    let names = ["result", "gradient of queries", "gradient of keys and values"];
    for (of, name) in names.into_iter().enumerate() {
        let most = want[of].iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        want[of][67] += most / 50.0;
        fails(case.check(&gpu, &want), &format!("{name}, element 67"));
        want[of][67] -= most / 50.0;
    }
}

/// What fails keeps its name, and the checks behind it are made; after a loss they are not.
#[test]
fn a_failure_is_named_and_the_next_check_is_made() {
    let Some(gpu) = gpu() else { return };
    let wrong: Named = ("planted", |gpu| products::check(gpu, |_, _, _, _| Vec::new()));
    let refused: Named = ("refused", |_| Err(Error::Device("out of order".to_owned())));
    let lost: Named = ("lost", |_| Err(Error::DeviceLost("unplugged".to_owned())));
    let mut begun = Vec::new();
    let checks = [wrong, refused, BASIC[1], lost, BASIC[1]];
    let made = all(&gpu, &checks, &mut |name| begun.push(name.to_owned()));
    let passed: Vec<bool> = made.iter().map(|check| check.passed).collect();
    assert_eq!(passed, [false, false, true, false, false], "{made:?}");
    assert_eq!(begun, ["planted", "refused", "exact products", "lost", "exact products"]);
    assert!(made[0].detail.contains("the reference has 0"), "{made:?}");
    assert!(made[1].detail.contains("out of order"), "{made:?}");
    assert!(made[4].detail.starts_with("not made: ") && made[4].detail.contains("unplugged"));
}

#[test]
fn what_is_no_number_is_wrong_and_the_worst() {
    let mut compared = Compared::default();
    compared.within("a", &[1.0, 2.0], &[1.0, 2.5], &[0.1, 1.0]);
    assert_eq!(compared.worst.map(|worst| worst.error), Some(0.5));
    compared.within("b", &[f32::NAN], &[1.0], &[f64::MAX]);
    let found = compared.found("all");
    assert!(found.worst.expect("one").error.is_nan() && !found.passed, "{found:?}");
    assert!(found.detail.starts_with("1 of 3 values are wrong; b, element 0"), "{found:?}");
    let mut compared = Compared::default();
    compared.same("c", &[0f32], &[-0f32]);
    assert!(!compared.found("bits").passed, "zeros of two signs are two");
}
