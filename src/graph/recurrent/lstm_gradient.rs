//! The gradient of an LSTM: its steps backwards, then each weight over all of them at once.
use super::super::Tensor;
use super::super::lower::Lowering;
use super::super::op::{Facts, Home, Operation};
use super::super::stored::Masked;
use super::lstm::{Lstm, Tape};
use super::{by_rows, by_times};
use crate::Result;
use crate::gpu::Slot;
use crate::kernels::{
    self, ColumnSum, Form, Matmul, PeepholeGradient, ProjectionGradient, Stride,
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
        let stride = shape.stride();
        let nodes = self.graph.nodes[tensor.0].inputs.clone();
        let operands = self.lstm_operands(&shape, &nodes[2..])?;
        let gradient = self.slot(nodes[0])?;
        let Some(super::Tape::Lstm(forward)) = self.tapes[nodes[1].0].clone() else {
            return Err(self.lacks(tensor));
        };
        let Tape { gates, cells, projected, .. } = forward;
        let carry = self.tape(tensor, "carry", &[rows, units])?;
        let of_gates = self.tape(tensor, "of_gates", &[length, rows, 4 * units])?;
        let returned = self.tape(tensor, "returned", &[length, rows, stride])?;
        let of_projected = match projected {
            Some(_) => Some((
                self.tape(tensor, "of_projected", &[length, rows, outputs])?,
                self.tape(tensor, "of_hidden", &[rows, units])?,
            )),
            None => None,
        };
        let Masked { values: b, mask } = operands.kernel;
        let product = Matmul::new(Form::NT, [of_gates, b, returned], [rows, stride, 4 * units]);
        let product = Matmul { mask, ..product };
        for time in (0..length).rev() {
            let last = time + 1 == length;
            let recurrent = (!last).then(|| (returned, shape.state(time + 1)));
            let from = Stride { begin: time * outputs, stride: length * outputs };
            let (mut of_h, mut at, mut back) = (gradient, from, recurrent);
            if let (
                Some([_, projected]),
                Some((of_projected, of_hidden)),
                Some(Masked { values: b, mask }),
            ) = (projected, of_projected, operands.projection)
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
                Matmul { a, b, mask, c, n, k, begin, ..product }.push(self.plan)?;
                (of_h, at, back) = (of_hidden, Stride { begin: 0, stride: units }, None);
            }
            self.plan.push(kernels::LstmGradient {
                step: shape.step(time),
                gradient: of_h,
                from: at,
                recurrent: back,
                gates,
                cells,
                peepholes: operands.peepholes,
                carry,
                last,
                out: of_gates,
            })?;
            let begin = [time * rows * 4 * units, time * rows * stride];
            Matmul { begin, ..product }.push(self.plan)?;
        }
        let of_x = self.output(tensor)?;
        let sequence = [rows, length, width];
        self.rearrange([returned, of_x], sequence, [by_times(rows, stride, 0), by_rows(sequence)])?;
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
        match (of, forward.projected, of_projected) {
            (0, ..) => product.push(self.plan),
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
                Matmul { a: hidden, b, m: units, n: outputs, ..product }.push(self.plan)
            }
            _ => Err(self.lacks(tensor)),
        }
    }
}
