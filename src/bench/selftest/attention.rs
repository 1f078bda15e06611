//! Attention whose queries each find two keys: weights are halves of 1, and sums have few terms.
use super::compared::{Compared, Found};
use super::rig::Rig;
use crate::Result;
use crate::gpu::Gpu;
use crate::kernels::{
    Attended, AttendedValues, Attention, AttentionKeyGradient, AttentionQueryGradient,
    AttentionRows, Heads, attention_gradient_reference, attention_reference,
};

/// Channels by which keys are found: six times the bits of a number below 256. The others differ
/// between the two that are found, and queries do not look at them.
const FOUND_BY: u32 = 48;
const WIDTH: u32 = 64;
/// A key that is not found has six bits or more that differ, so its score is 48 lower.
const SCALE: f32 = 4.0;

/// Values, and what the references make of them.
pub(super) struct Case {
    shape: Heads,
    /// Queries, keys, values and the gradient of the result.
    operands: [Vec<f32>; 4],
}

impl Case {
    pub(super) fn new(length: u32) -> Self {
        let shape = Heads::new([1, 1, length, WIDTH]).causal(true).scale(SCALE);
        let each = |of: &dyn Fn(u32, u32) -> f32| -> Vec<f32> {
            (0..length).flat_map(|at| (0..WIDTH).map(move |c| of(at, c))).collect()
        };
        let bit = |number: u32, c: u32| if (number >> (c % 8)) & 1 == 1 { 1.0 } else { -1.0 };
        let small = |at: u32, c: u32, by: u32| ((at * by + c * 5) % 3) as f32 - 1.0;
        // Neighbours are found together, by a query behind them.
        let sought = |at: u32| (at * 7 % (at + 1)) / 2;
        let queries = |at, c| if c < FOUND_BY { bit(sought(at), c) } else { 0.0 };
        let keys = |at, c| if c < FOUND_BY { bit(at / 2, c) } else { small(at, c, 7) };
        let (values, gradient) = (|at, c| small(at, c, 11), |at, c| small(at, c, 13));
        Self { shape, operands: [each(&queries), each(&keys), each(&values), each(&gradient)] }
    }

    /// The result, and the gradients of queries, keys and values.
    pub(super) fn want(&self) -> [Vec<f64>; 3] {
        let wide = |x: &Vec<f32>| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let [queries, keys, values, gradient] = &self.operands.each_ref().map(wide);
        let of = AttendedValues { queries, keys, values, seen: None };
        let [to_queries, to_both] = attention_gradient_reference(&self.shape, gradient, &of);
        [attention_reference(&self.shape, &of), to_queries, to_both]
    }

    /// Whether `gpu` finds the same. A term is off by 2^-9 of itself at most: a weight, and a slope
    /// that it is in, are rounded to 11 bits each, whichever way. Those of a sum are up to four
    /// times as much together as the largest result.
    pub(super) fn check(&self, gpu: &Gpu, want: &[Vec<f64>; 3]) -> Result<Found> {
        let (mut rig, mut compared) = (Rig::new(gpu), Compared::default());
        let shape = self.shape;
        let [queries, keys, values, gradient] =
            self.operands.each_ref().map(|x| rig.slot("operand", x));
        let outputs = want.each_ref().map(|want| rig.output("result", want.len()));
        let [out, to_queries, to_both] = outputs;
        let logs = rig.plan.scratch("logs", shape.queries());
        let rows = rig.plan.scratch("rows", shape.rows());
        let of = Attended { shape, queries, keys, values, seen: None };
        Attention { of, logs, out }.push(&mut rig.plan)?;
        rig.plan.push(AttentionRows { shape, logs, result: out, gradient, rows })?;
        AttentionQueryGradient { of, gradient, rows, out: to_queries }.push(&mut rig.plan)?;
        let member = 0;
        AttentionKeyGradient { of, gradient, rows, out: to_both, member }.push(&mut rig.plan)?;
        let ready = rig.run()?;
        let names = ["result", "gradient of queries", "gradient of keys and values"];
        for ((name, slot), want) in names.into_iter().zip(outputs).zip(want) {
            let case = format!("attention of {} positions, {name}", shape.length);
            let got: Vec<f32> = ready.read(&case, slot, &mut compared)?;
            let most = want.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
            let bounds = vec![4.0 * most / 512.0; want.len()];
            compared.within(&case, &got, want, &bounds);
        }
        Ok(compared.found("attention"))
    }
}
