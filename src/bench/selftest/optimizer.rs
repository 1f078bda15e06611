//! A step of Adam on weights of which a mask holds some at zero.
use super::compared::{Compared, Found, U};
use super::rig::{Rig, half_mask, noise};
use crate::Result;
use crate::gpu::Gpu;
use crate::kernels::{AdamParams, AdamUpdate, EpsilonForm, Pruned, Step, Weights, bit};

/// New weights, first and second moments.
pub(super) type Reference = fn(
    (&[f32], &[f32]),
    (&[f32], &[f32]),
    Option<(&[u32], Pruned)>,
    (&AdamParams, EpsilonForm),
    &Step,
) -> Vec<[f64; 3]>;

const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

/// The third step, of lengths around a workgroup.
pub(super) fn check(gpu: &Gpu, reference: Reference) -> Result<Found> {
    let mut compared = Compared::default();
    let correction = |beta: f32| 1.0 - beta.powi(3);
    let step = Step {
        rows: 1,
        learning_rate: 0.03,
        correction1: correction(BETA1),
        correction2: correction(BETA2),
        ..Step::default()
    };
    for len in [1usize, 63, 64, 257] {
        // Second moments are not negative; 0.1 keeps the division away from 0 / 0.
        let positive = |seed| noise(seed, len, 1.0).iter().map(|x| x.abs() + 0.1).collect();
        let [w, m, v]: [Vec<f32>; 3] = [positive(1), positive(2), positive(3)];
        let (g, bits) = (noise(4, len, 2.0), half_mask(5, len));
        let mut rig = Rig::new(gpu);
        let [weights, first, second] = [&w, &m, &v].map(|values| rig.slot("state", values));
        let on = Weights {
            gradient: rig.slot("gradient", &g),
            mask: Some((rig.slot("mask", &bits), Pruned::Zero)),
            step: rig.slot("step", &[step]),
            weights,
            len: len as u32,
        };
        let (form, beta1, beta2, epsilon) = (EpsilonForm::PyTorch, BETA1, BETA2, EPSILON);
        let (decay, l2) = (0.0, 0.0);
        rig.plan.push(AdamUpdate { on, first, second, beta1, beta2, epsilon, form, decay, l2 })?;
        let ready = rig.run()?;
        let params = AdamParams { len: len as u32, beta1, beta2, epsilon, decay, l2 };
        let mask = Some((&bits[..], Pruned::Zero));
        let want = reference((&w, &g), (&m, &v), mask, (&params, form), &step);
        let bounds: Vec<[f64; 3]> =
            (0..len).map(|i| bounds([w[i], m[i], v[i], g[i]].map(f64::from), &step)).collect();
        for (at, slot) in [weights, first, second].into_iter().enumerate() {
            let case = format!("{} of {len}", ["weight", "first moment", "second moment"][at]);
            let got: Vec<f32> = ready.read(&case, slot, &mut compared)?;
            let column = |rows: &[[f64; 3]]| rows.iter().map(|row| row[at]).collect::<Vec<_>>();
            compared.within(&case, &got, &column(&want), &column(&bounds));
            // Held at zero: without any rounding.
            for (i, value) in got.iter().enumerate().filter(|(i, _)| !bit(&bits, *i)) {
                compared.holds(value.to_bits() == 0, || {
                    format!("{case}, element {i}: {value:e}, is pruned and must be 0")
                });
            }
        }
    }
    Ok(compared.found("a step of Adam with a mask in 4 lengths"))
}

/// Moments: three and four roundings. The move divides twice and takes a root: 2.5 units of 2 u for
/// a division, and for a root, being an inverse of an inverse root, 2 + 2.5 units; with the moments'
/// errors and the sums that is under 32 roundings.
fn bounds([w, m, v, g]: [f64; 4], step: &Step) -> [f64; 3] {
    let [beta1, beta2, epsilon] = [BETA1, BETA2, EPSILON].map(f64::from);
    let [rate, c1, c2] = [step.learning_rate, step.correction1, step.correction2].map(f64::from);
    let (m, v) = (beta1 * m + (1.0 - beta1) * g.abs(), beta2 * v + (1.0 - beta2) * g * g);
    // A pruned weight has no gradient, which makes its root smaller.
    let root = (beta2 * v / c2).sqrt() + epsilon;
    let moved = rate * m / c1 / root;
    [U * (4.0 * w + 32.0 * moved), 4.0 * U * m, 4.0 * U * v]
}
