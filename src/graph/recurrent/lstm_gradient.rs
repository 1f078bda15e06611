//! The gradient of an LSTM: its steps backwards, then each weight over all of them at once.
use super::super::Tensor;
use super::super::f16::PeakOf;
use super::super::lower::Lowering;
use super::super::op::{Facts, Home, Operation};
use super::super::stored::Masked;
use super::lstm::{Lstm, Tape};
use super::{by_rows, by_times};
use crate::Result;
use crate::gpu::Slot;
use crate::kernels::{
    self, ColumnSum, Form, LstmGradientProduct, LstmProduct, Matmul, PeepholeGradient,
    ProjectionGradient, StateWeights, Stride,
};

/// What the backward pass leaves to the gradients of the weights.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct GradientTape {
    shape: Lstm,
    forward: Tape,
    of_gates: Slot,
    of_projected: Option<Slot>,
}

/// Inputs `gradient`, the LSTM, its weights: gradient of that by `x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LstmGradient {
    /// Extents and constants.
    pub shape: Lstm,
}

impl Operation for LstmGradient {
    fn facts(&self) -> Facts {
        Facts { name: "lstm_gradient", home: Home::Tape, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        lowering.lstm_gradient(tensor, self.shape)
    }
}

impl Lowering<'_> {
    pub(super) fn lstm_gradient(&mut self, tensor: Tensor, shape: Lstm) -> Result<()> {
        let Lstm { rows, length, width, units, outputs, .. } = shape;
        let nodes = self.graph.nodes[tensor.0].inputs.clone();
        let operands = self.lstm_operands(&shape, &nodes[2..])?;
        let gradient = self.slot(nodes[0])?;
        let Some(super::Tape::Lstm(forward)) = self.tapes[nodes[1].0].clone() else {
            return Err(self.lacks(tensor));
        };
        let Tape { gates, cells, projected, .. } = forward;
        let carry = self.tape(tensor, "carry", &[rows, units])?;
        let of_gates = self.tape(tensor, "of_gates", &[length, rows, 4 * units])?;
        let of_projected = match projected {
            Some(_) => Some((
                self.tape(tensor, "of_projected", &[length, rows, outputs])?,
                self.tape(tensor, "of_hidden", &[rows, units])?,
            )),
            None => None,
        };
        let Masked { values: b, mask } = self.read(operands.kernel)?;
        let projection = operands.projection.map(|p| self.read(p)).transpose()?;
        // What all steps send back to x is one product after them. What each sends to the states
        // before it is one of its own, or is part of the step before.
        let sent = self.tape(tensor, "sent", &[length, rows, width])?;
        let all = [length * rows, width, 4 * units];
        let of_inputs = Matmul::new(Form::NT, [of_gates, b, sent], all);
        let of_inputs = Matmul { mask, ..of_inputs };
        let weights = StateWeights { values: b, mask, width };
        let halves = self.step_reads_f16([rows, units], [rows, outputs, 4 * units]);
        let fuses = projected.is_none() && !halves;
        let fuses = fuses && LstmProduct::pays(self.plan.target(), rows, units);
        let returned = match fuses {
            true => None,
            false => Some(self.tape(tensor, "returned", &[rows, outputs])?),
        };
        let [m, n, first_column] = [rows, outputs, width];
        let of_states =
            returned.map(|c| Matmul { c, m, n, first_column, ..of_inputs });
        let kernel = PeakOf::Tensor(operands.kernel);
        let names = [("of_gates", PeakOf::Itself), ("kernel", kernel)];
        for time in (0..length).rev() {
            let last = time + 1 == length;
            let place = Stride { begin: 0, stride: outputs };
            let recurrent = returned.filter(|_| !last).map(|returned| (returned, place));
            let from = Stride { begin: time * outputs, stride: length * outputs };
            let (mut of_h, mut at, mut back) = (gradient, from, recurrent);
            if let (
                Some([_, projected]),
                Some((of_projected, of_hidden)),
                Some(Masked { values: b, mask }),
            ) = (projected, of_projected, projection)
            {
                let clip = shape.options.projection_clip;
                let (out, width) = (of_projected, outputs);
                self.plan.push(ProjectionGradient {
                    rows,
                    width,
                    time,
                    clip,
                    gradient,
                    from,
                    recurrent,
                    projected,
                    out,
                })?;
                let begin = [time * rows * outputs, 0];
                let (a, c, n, k) = (of_projected, of_hidden, units, outputs);
                let m = rows;
                Matmul { a, b, mask, c, m, n, k, begin, ..of_inputs }.push(self.plan)?;
                (of_h, at, back) = (of_hidden, Stride { begin: 0, stride: units }, None);
            }
            let (step, peepholes, out) = (shape.step(time), operands.peepholes, of_gates);
            if fuses && !last {
                self.plan.push(LstmGradientProduct {
                    step,
                    weights,
                    gradient,
                    from,
                    gates,
                    cells,
                    peepholes,
                    carry,
                    out,
                })?;
                continue;
            }
            self.plan.push(kernels::LstmGradient {
                step,
                gradient: of_h,
                from: at,
                recurrent: back,
                gates,
                cells,
                peepholes,
                carry,
                last,
                out,
            })?;
            // Nothing is before the first step.
            if let Some(product) = of_states.filter(|_| time > 0) {
                let begin = [time * rows * 4 * units, 0];
                self.returned(Matmul { begin, ..product }, names, halves)?;
            }
        }
        self.product_of_times(of_inputs, names, false)?;
        let of_x = self.output(tensor)?;
        let sequence = [rows, length, width];
        self.rearrange([sent, of_x], sequence, [by_times(rows, width, 0), by_rows(sequence)])?;
        let of_projected = of_projected.map(|(slot, _)| slot);
        let tape = GradientTape { shape, forward, of_gates, of_projected };
        self.tapes[tensor.0] = Some(super::Tape::LstmGradient(tape));
        Ok(())
    }

    /// Gradient of the `of`-th weight.
    pub(super) fn lstm_weight_gradient(
        &mut self,
        tensor: Tensor,
        of: usize,
        tape: GradientTape,
    ) -> Result<()> {
        let GradientTape { shape, forward, of_gates, of_projected } = tape;
        let Lstm { rows, length, units, outputs, .. } = shape;
        let all = length * rows;
        let out = self.output(tensor)?;
        let operands = [forward.inputs, of_gates, out];
        let product = Matmul::new(Form::TN, operands, [shape.stride(), 4 * units, all]);
        let names = |names: [&'static str; 2]| names.map(|name| (name, PeakOf::Itself));
        match (of, forward.projected, of_projected) {
            (0, ..) => self.product_of_times(product, names(["inputs", "of_gates"]), false),
            (1, ..) => {
                ColumnSum { x: of_gates, out, rows: all, columns: 4 * units }.push(self.plan)
            }
            (2, ..) if shape.peepholes => {
                let addends = self.tape(tensor, "addends", &[length, rows, 3 * units])?;
                let (gradient, cells) = (of_gates, forward.cells);
                self.plan.push(PeepholeGradient {
                    rows,
                    units,
                    length,
                    gradient,
                    cells,
                    out: addends,
                })?;
                ColumnSum { x: addends, out, rows: all, columns: 3 * units }.push(self.plan)
            }
            (_, Some([hidden, _]), Some(b)) => {
                let product = Matmul { a: hidden, b, m: units, n: outputs, ..product };
                self.product_of_times(product, names(["hidden", "of_projected"]), false)
            }
            _ => Err(self.lacks(tensor)),
        }
    }
}
