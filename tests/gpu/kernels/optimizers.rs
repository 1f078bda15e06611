//! `sgd`, `momentum`, `adam`, `rmsprop`, `adagrad` and `lion` in every mode of pruning, over
//! several steps.
//!
//! Each step is compared with the reference from the state that the device had before it, so that
//! bounds are those of one step.
use secateur::gpu::Slot;
use secateur::kernels::*;

use super::LENGTHS;
use crate::common::{Noise, Rig, Tol, U, gpu};

const STEPS: i32 = 3;
const MODES: [Option<Pruned>; 4] =
    [None, Some(Pruned::Zero), Some(Pruned::Revive), Some(Pruned::Freeze)];
const RATE: f32 = 0.1;
const BETA1: f32 = 0.9;
const BETA2: f32 = 0.999;

/// An optimizer over weights with slots of its own, a state `S` per weight.
trait Optimizer<const S: usize> {
    /// Appends the launch; `state` are the weights and the optimizer's slots.
    fn push(&self, rig: &mut Rig, case: &Case, state: [Slot; S]);
    /// The state after a step.
    fn want(&self, case: &Case, state: &[Vec<f32>; S], step: &Step) -> Vec<[f64; S]>;
    /// Bounds on the error of one weight's state.
    fn bounds(&self, state: [f64; S], gradient: f64, step: &Step) -> [f64; S];
}

struct Case {
    gradient: (Slot, Vec<f32>),
    mask: Option<(Slot, Vec<u32>, Pruned)>,
    step: Slot,
}

impl Case {
    fn len(&self) -> u32 {
        self.gradient.1.len() as u32
    }

    fn mask(&self) -> Option<(Slot, Pruned)> {
        self.mask.as_ref().map(|(slot, _, mode)| (*slot, *mode))
    }

    fn on(&self, weights: Slot) -> Weights {
        let (gradient, mask, step) = (self.gradient.0, self.mask(), self.step);
        Weights { gradient, mask, step, weights, len: self.len() }
    }

    fn words(&self) -> Option<(&[u32], Pruned)> {
        self.mask.as_ref().map(|(_, words, mode)| (&words[..], *mode))
    }
}

fn steps_agree<const S: usize>(optimizer: &impl Optimizer<S>) {
    let Some(gpu) = gpu() else { return };
    for (len, mode) in LENGTHS.iter().flat_map(|&len| MODES.map(|mode| (len, mode))) {
        let mut noise = Noise::new(len as u64);
        let mut rig = Rig::new(gpu);
        let (g, words) = (noise.floats(len, 2.0), noise.words(len.div_ceil(32)));
        let case = Case {
            gradient: (rig.slot("gradient", &g), g),
            mask: mode.map(|mode| (rig.slot("mask", &words), words, mode)),
            step: rig.output("step", STEP_WORDS as usize),
        };
        // Second moments are not negative; 0.1 keeps the division away from 0 / 0.
        let positive = |x: &f32| x.abs() + 0.1;
        let mut state: [Vec<f32>; S] =
            std::array::from_fn(|_| noise.floats(len, 1.0).iter().map(positive).collect());
        let slots: [Slot; S] = std::array::from_fn(|s| rig.slot("state", &state[s]));
        optimizer.push(&mut rig, &case, slots);
        let bench = rig.build();
        for t in 1..=STEPS {
            let (learning_rate, correction) = (RATE / t as f32, |beta: f32| 1.0 - beta.powi(t));
            let (correction1, correction2) = (correction(BETA1), correction(BETA2));
            let step =
                Step { rows: 1, learning_rate, correction1, correction2, ..Default::default() };
            bench.upload(case.step, &[step]);
            bench.run();
            let want = optimizer.want(&case, &state, &step);
            let bounds = |i: usize| {
                let before = std::array::from_fn(|s| f64::from(state[s][i]));
                optimizer.bounds(before, f64::from(case.gradient.1[i]), &step)
            };
            let bounds: Vec<[f64; S]> = (0..len).map(bounds).collect();
            let after = slots.map(|slot| bench.read::<f32>(slot));
            for s in 0..S {
                let column = |rows: &[[f64; S]]| rows.iter().map(|row| row[s]).collect::<Vec<_>>();
                let check = Tol::Within(&column(&bounds)).check(&after[s], &column(&want));
                check.unwrap_or_else(|e| panic!("{len}, {mode:?}, step {t}, state {s}: {e}"));
            }
            held_exactly(&case, &state, &after);
            state = after;
        }
    }
}

/// A weight that is held at zero or frozen has no rounding.
fn held_exactly<const S: usize>(case: &Case, before: &[Vec<f32>; S], after: &[Vec<f32>; S]) {
    let Some((words, mode)) = case.words() else { return };
    for i in (0..case.gradient.1.len()).filter(|&i| !bit(words, i)) {
        for (before, after) in before.iter().zip(after) {
            match mode {
                Pruned::Zero => assert_eq!(after[i].to_bits(), 0, "{i} is not held at zero"),
                Pruned::Freeze => assert_eq!(after[i].to_bits(), before[i].to_bits(), "{i} moved"),
                Pruned::Revive | Pruned::Pull => {}
            }
        }
    }
}

struct Plain {
    decay: f32,
}

impl Optimizer<1> for Plain {
    fn push(&self, rig: &mut Rig, case: &Case, [weights]: [Slot; 1]) {
        rig.push(SgdUpdate { on: case.on(weights), decay: self.decay });
    }

    fn want(&self, case: &Case, [w]: &[Vec<f32>; 1], step: &Step) -> Vec<[f64; 1]> {
        let want = sgd_reference((w, &case.gradient.1), case.words(), self.decay, step);
        want.into_iter().map(|w| [w]).collect()
    }

    /// Four roundings: two products, a sum, a difference.
    fn bounds(&self, [w]: [f64; 1], g: f64, step: &Step) -> [f64; 1] {
        let moved = f64::from(step.learning_rate) * (g.abs() + f64::from(self.decay) * w.abs());
        [4.0 * U * (w.abs() + moved)]
    }
}

struct Heavy {
    decay: f32,
    nesterov: bool,
}

impl Optimizer<2> for Heavy {
    fn push(&self, rig: &mut Rig, case: &Case, [weights, velocity]: [Slot; 2]) {
        let (momentum, decay, nesterov) = (BETA1, self.decay, self.nesterov);
        rig.push(MomentumUpdate { on: case.on(weights), velocity, momentum, decay, nesterov });
    }

    fn want(&self, case: &Case, [w, v]: &[Vec<f32>; 2], step: &Step) -> Vec<[f64; 2]> {
        let how = (BETA1, self.decay, self.nesterov);
        momentum_reference((w, &case.gradient.1, v), case.words(), how, step)
    }

    /// Four roundings to the velocity, then four more, each of no more than the magnitudes' sum.
    fn bounds(&self, [w, v]: [f64; 2], g: f64, step: &Step) -> [f64; 2] {
        let g = g.abs() + f64::from(self.decay) * w.abs();
        let velocity = f64::from(BETA1) * v.abs() + g;
        let moved = f64::from(step.learning_rate) * (velocity + g);
        [8.0 * U * (w.abs() + moved), 4.0 * U * velocity]
    }
}

struct Adaptive {
    epsilon: f32,
    form: EpsilonForm,
    decay: f32,
    l2: f32,
}

impl Optimizer<3> for Adaptive {
    fn push(&self, rig: &mut Rig, case: &Case, [weights, first, second]: [Slot; 3]) {
        let (on, beta1, beta2) = (case.on(weights), BETA1, BETA2);
        let Self { epsilon, form, decay, l2 } = *self;
        rig.push(AdamUpdate { on, first, second, beta1, beta2, epsilon, form, decay, l2 });
    }

    fn want(&self, case: &Case, [w, m, v]: &[Vec<f32>; 3], step: &Step) -> Vec<[f64; 3]> {
        let (len, beta1, beta2) = (case.len(), BETA1, BETA2);
        let Self { epsilon, form, decay, l2 } = *self;
        let params = AdamParams { len, beta1, beta2, epsilon, decay, l2 };
        adam_reference((w, &case.gradient.1), (m, v), case.words(), (&params, form), step)
    }

    /// Moments: three and four roundings. The move divides twice and takes a root: 2.5 units of 2 u
    /// for a division, and for a root, being an inverse of an inverse root, 2 + 2.5 units; with the
    /// moments' errors and the sums that is under 32 roundings, of which TensorFlow's epsilon,
    /// divided by a root, makes 10 more. A coupled decay adds two to the gradient, which is
    /// squared: as many again.
    fn bounds(&self, [w, m, v]: [f64; 3], g: f64, step: &Step) -> [f64; 3] {
        let [beta1, beta2] = [BETA1, BETA2].map(f64::from);
        let [rate, c1, c2] =
            [step.learning_rate, step.correction1, step.correction2].map(f64::from);
        let times = if self.l2 == 0.0 { U } else { 2.0 * U };
        let g = g.abs() + f64::from(self.l2) * w.abs();
        let (m, v) = (beta1 * m.abs() + (1.0 - beta1) * g.abs(), beta2 * v + (1.0 - beta2) * g * g);
        // A pruned weight has no gradient, which makes its root, and so the quotient, smaller than
        // v's.
        let (epsilon, roundings) = match self.form {
            EpsilonForm::TensorFlow => (f64::from(self.epsilon) / c2.sqrt(), 42.0),
            _ => (f64::from(self.epsilon), 32.0),
        };
        let root = (beta2 * v / c2).sqrt() + epsilon;
        let moved = rate * (m / c1 / root + f64::from(self.decay) * w.abs());
        [times * (4.0 * w.abs() + roundings * moved), 4.0 * times * m, 4.0 * times * v]
    }
}

struct MeanSquare {
    momentum: f32,
    l2: f32,
}

impl MeanSquare {
    fn params(&self, len: u32) -> RmsPropParams {
        let Self { momentum, l2 } = *self;
        RmsPropParams { len, decay: BETA1, momentum, epsilon: 0.01, l2 }
    }
}

impl Optimizer<3> for MeanSquare {
    fn push(&self, rig: &mut Rig, case: &Case, [weights, mean_square, velocity]: [Slot; 3]) {
        let (on, params) = (case.on(weights), self.params(case.len()));
        let RmsPropParams { decay, momentum, epsilon, l2, .. } = params;
        rig.push(RmsPropUpdate { on, mean_square, velocity, decay, momentum, epsilon, l2 });
    }

    fn want(&self, case: &Case, [w, s, v]: &[Vec<f32>; 3], step: &Step) -> Vec<[f64; 3]> {
        let params = self.params(case.len());
        rmsprop_reference((w, &case.gradient.1), (s, v), case.words(), &params, step)
    }

    /// As Adam's with a coupled decay. What a root is taken of is at least what was there before.
    fn bounds(&self, [w, s, v]: [f64; 3], g: f64, step: &Step) -> [f64; 3] {
        let [decay, momentum, epsilon, l2] = [BETA1, self.momentum, 0.01, self.l2].map(f64::from);
        let g = g.abs() + l2 * w.abs();
        let moved = f64::from(step.learning_rate) * g / (decay * s + epsilon).sqrt();
        let moved = momentum * v.abs() + moved;
        [8.0 * U * w.abs() + 64.0 * U * moved, 8.0 * U * (s + g * g), 64.0 * U * moved]
    }
}

struct Summed {
    initial: f32,
    epsilon: f32,
    l2: f32,
}

impl Optimizer<2> for Summed {
    fn push(&self, rig: &mut Rig, case: &Case, [weights, squares]: [Slot; 2]) {
        let Self { initial, epsilon, l2 } = *self;
        rig.push(AdagradUpdate { on: case.on(weights), squares, initial, epsilon, l2 });
    }

    fn want(&self, case: &Case, [w, s]: &[Vec<f32>; 2], step: &Step) -> Vec<[f64; 2]> {
        let Self { initial, epsilon, l2 } = *self;
        let params = AdagradParams { len: case.len(), initial, epsilon, l2 };
        adagrad_reference((w, &case.gradient.1, s), case.words(), &params, step)
    }

    /// As RMSProp's.
    fn bounds(&self, [w, s]: [f64; 2], g: f64, step: &Step) -> [f64; 2] {
        let [initial, epsilon, l2] = [self.initial, self.epsilon, self.l2].map(f64::from);
        let g = g.abs() + l2 * w.abs();
        let moved = f64::from(step.learning_rate) * g / ((initial + s).sqrt() + epsilon);
        [8.0 * U * w.abs() + 64.0 * U * moved, 8.0 * U * (s + g * g)]
    }
}

struct Signs {
    decay: f32,
    l2: f32,
}

impl Signs {
    fn params(&self, len: u32) -> LionParams {
        let Self { decay, l2 } = *self;
        LionParams { len, beta1: BETA1, beta2: BETA2, decay, l2 }
    }
}

impl Optimizer<2> for Signs {
    fn push(&self, rig: &mut Rig, case: &Case, [weights, first]: [Slot; 2]) {
        let LionParams { beta1, beta2, decay, l2, .. } = self.params(case.len());
        rig.push(LionUpdate { on: case.on(weights), first, beta1, beta2, decay, l2 });
    }

    fn want(&self, case: &Case, [w, m]: &[Vec<f32>; 2], step: &Step) -> Vec<[f64; 2]> {
        let params = self.params(case.len());
        lion_reference((w, &case.gradient.1, m), case.words(), &params, step)
    }

    /// Four roundings each, and two more to the gradient. Where the direction is within its own
    /// error of 0, its sign is any.
    fn bounds(&self, [w, m]: [f64; 2], g: f64, step: &Step) -> [f64; 2] {
        let [beta1, beta2, decay, l2] = [BETA1, BETA2, self.decay, self.l2].map(f64::from);
        let size = g.abs() + l2 * w.abs();
        let direction = beta1 * m + (1.0 - beta1) * (g + l2 * w);
        let open = direction.abs() <= 8.0 * U * (beta1 * m.abs() + (1.0 - beta1) * size);
        let rate = f64::from(step.learning_rate);
        let turned = if open { 2.0 * rate } else { 0.0 };
        let moved = rate * (1.0 + decay * w.abs());
        let mean = beta2 * m.abs() + (1.0 - beta2) * size;
        [4.0 * U * (w.abs() + moved) + turned, 8.0 * U * mean]
    }
}

#[test]
fn sgd_agrees() {
    steps_agree(&Plain { decay: 0.01 });
}

#[test]
fn momentum_agrees() {
    steps_agree(&Heavy { decay: 0.01, nesterov: false });
    steps_agree(&Heavy { decay: 0.0, nesterov: true });
}

#[test]
fn adam_agrees() {
    let (epsilon, form) = (1e-8, EpsilonForm::PyTorch);
    steps_agree(&Adaptive { epsilon, form, decay: 0.0, l2: 0.0 });
    steps_agree(&Adaptive { epsilon, form, decay: 0.01, l2: 0.0 });
    steps_agree(&Adaptive { epsilon, form, decay: 0.01, l2: 0.1 });
}

/// With one that counts beside the root.
#[test]
fn adam_with_tensorflows_epsilon_agrees() {
    let (epsilon, form) = (0.01, EpsilonForm::TensorFlow);
    steps_agree(&Adaptive { epsilon, form, decay: 0.0, l2: 0.0 });
    steps_agree(&Adaptive { epsilon, form, decay: 0.01, l2: 0.1 });
}

#[test]
fn rmsprop_agrees() {
    steps_agree(&MeanSquare { momentum: 0.0, l2: 0.0 });
    steps_agree(&MeanSquare { momentum: 0.9, l2: 0.1 });
}

#[test]
fn adagrad_agrees() {
    steps_agree(&Summed { initial: 0.1, epsilon: 0.0, l2: 0.0 });
    steps_agree(&Summed { initial: 0.0, epsilon: 0.1, l2: 0.1 });
}

#[test]
fn lion_agrees() {
    steps_agree(&Signs { decay: 0.0, l2: 0.0 });
    steps_agree(&Signs { decay: 0.01, l2: 0.1 });
}
