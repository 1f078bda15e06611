//! GRU: upstream's `GRUCell` with masks, unrolled.
use super::super::autodiff::Backward;
use super::super::f16::PeakOf;
use super::super::lower::{Lowering, Mode};
use super::super::op::{Facts, Home, Operation};
use super::super::packs::PackedUse;
use super::super::stored::Masked;
use super::super::{Graph, Node, Shape, Tensor};
use super::{GateExtents, by_rows, by_times, one_time};
use crate::gpu::Slot;
use crate::kernels::{
    self, ColumnSum, Form, GruGradientProduct, GruProduct, GruReset, GruResetGradient,
    GruResetGradientProduct, GruResetProduct, GruStep, LstmProduct, Matmul, Rearrange, StateWeights,
};
use crate::{Error, Result};

/// Operands of [`Graph::gru`]; both kernels may have masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GruWeights {
    /// `[width + units, 2 * units]`: rows of x, then of the state; columns of the gates r and z.
    pub gates: Tensor,
    /// `[2 * units]`; upstream begins with 1.
    pub gates_bias: Tensor,
    /// `[width + units, units]`
    pub candidate: Tensor,
    /// `[units]`
    pub candidate_bias: Tensor,
    /// [`Graph::carried`] `[batch, units]`.
    pub state: Tensor,
}

/// How many of the operands are weights.
const WEIGHTS: usize = 4;

/// Inputs `x`, the weights, the state: a GRU over a batch of sequences, by its extents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gru {
    /// Sequences.
    pub rows: u32,
    /// Positions of each.
    pub length: u32,
    /// Features of a position.
    pub width: u32,
    /// Units.
    pub units: u32,
}

/// Inputs `gradient`, the GRU, its weights: gradient of that by `x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GruGradient {
    /// Extents.
    pub shape: Gru,
}

/// What the forward pass leaves.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Tape {
    /// `[length + 1, rows, width + units]`: what the gates' kernel is multiplied with.
    inputs: Slot,
    /// `[length, rows, width + units]`: what the candidate's kernel is multiplied with.
    resets: Slot,
    gates: Slot,
    candidates: Slot,
}

/// What the backward pass leaves to the gradients of the weights.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct GradientTape {
    shape: Gru,
    forward: Tape,
    of_gates: Slot,
    of_candidates: Slot,
}

impl Gru {
    pub(super) fn stride(&self) -> u32 {
        self.width + self.units
    }

    fn step(&self, time: u32) -> GruStep {
        let &Self { rows, units, width, length } = self;
        GruStep { rows, units, width, length, time }
    }
}

impl Graph {
    /// A GRU over `x [batch, length, width]`: its states `[batch, length, units]`: `h = z h + (1 -
    /// z) tanh([x, r h] candidate + bias)`, with `r, z = sigmoid([x, h] gates + bias)`.
    ///
    /// # Errors
    /// [`Error::Shape`] names the operand that does not fit.
    pub fn gru(&mut self, x: Tensor, weights: GruWeights) -> Result<Tensor> {
        let [rows, length, width] = self.sequence("gru", x)?;
        let GruWeights { gates, gates_bias, candidate, candidate_bias, state } = weights;
        let units = self.shape(candidate).dims().last().copied().unwrap_or(0);
        if units == 0 || length == 0 {
            let message = format!(
                "candidate {} needs a column a unit, x {} a place or more",
                self.shape(candidate),
                self.shape(x)
            );
            return Err(Error::shape("gru", message));
        }
        let stride = width + units;
        for (name, tensor, want) in [
            ("gates", gates, vec![stride, 2 * units]),
            ("gates_bias", gates_bias, vec![2 * units]),
            ("candidate", candidate, vec![stride, units]),
            ("candidate_bias", candidate_bias, vec![units]),
            ("state", state, vec![rows, units]),
        ] {
            self.check_operand("gru", name, tensor, &want)?;
        }
        let shape = Gru { rows, length, width, units };
        let name = self.layer_of(candidate);
        let inputs = vec![x, gates, gates_bias, candidate, candidate_bias, state];
        Ok(self.push(shape, inputs, Shape::new([rows, length, units]), &name))
    }
}

impl Operation for Gru {
    fn facts(&self) -> Facts {
        Facts { name: "gru", home: Home::Tape, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        lowering.gru(tensor, *self)
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        backward.recurrent(tensor, gradient, GruGradient { shape: *self }, WEIGHTS)
    }

    fn multiplies(&self, _: &Node, place: usize, _: u32) -> u64 {
        // Once at each position of a sequence.
        if place == 0 { 0 } else { self.length.into() }
    }

    fn packs(
        &self,
        _: &Graph,
        _: &Node,
        place: usize,
    ) -> std::result::Result<PackedUse, String> {
        let operation = self.facts().name;
        match place {
            1 | 3 => Ok(PackedUse::new(operation, self.rows, self.units)),
            _ => Err(format!("{operation} reads all of it")),
        }
    }
}

impl Operation for GruGradient {
    fn facts(&self) -> Facts {
        Facts { name: "gru_gradient", home: Home::Tape, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        lowering.gru_gradient(tensor, self.shape)
    }
}

impl Lowering<'_> {
    pub(super) fn gru(&mut self, tensor: Tensor, shape: Gru) -> Result<()> {
        let Gru { rows, length, width, units } = shape;
        let stride = shape.stride();
        let nodes = self.graph.nodes[tensor.0].inputs.clone();
        let &[of_x, gates_weight, gates_bias, candidate_weight, candidate_bias, state] =
            nodes.as_slice()
        else {
            return Err(self.lacks(tensor));
        };
        let of = [of_x, gates_bias, candidate_bias, state].map(|tensor| self.slot(tensor));
        let [x, gates_bias, candidate_bias, state] = of;
        let (x, gates_bias, candidate_bias, state) = (x?, gates_bias?, candidate_bias?, state?);
        let inputs = self.tape(tensor, "inputs", &[length + 1, rows, stride])?;
        let resets = self.tape(tensor, "resets", &[length, rows, stride])?;
        let gates = self.tape(tensor, "gates", &[length, rows, 2 * units])?;
        let candidates = self.tape(tensor, "candidates", &[length, rows, units])?;
        let sequence = [rows, length, width];
        for out in [inputs, resets] {
            self.rearrange([x, out], sequence, [by_rows(sequence), by_times(rows, stride, 0)])?;
        }
        let (from, to) = (one_time(units, 0), one_time(stride, width));
        let moved = Rearrange::new([state, inputs], [1, rows, units], [from, to]);
        self.plan.push(Rearrange { resumes: Some(self.bindings.step), ..moved })?;
        // What the inputs of all times add to the sums are two products; what the states add, two a
        // time.
        let halves = self.step_reads_f16([rows, units], [rows, 2 * units, units]);
        let extents = GateExtents { rows, length, width, stride, sums: 2 * units, halves };
        let (weights, of) = ((of_x, gates_weight, gates_bias), [inputs, inputs, gates]);
        let product = self.gates(weights, of, extents)?;
        let extents = GateExtents { sums: units, ..extents };
        let weights = (of_x, candidate_weight, candidate_bias);
        let of = [inputs, resets, candidates];
        let second = self.gates(weights, of, extents)?;
        let fused = product.weights(width).zip(second.weights(width));
        let fused = fused.filter(|_| LstmProduct::pays(self.plan.target(), rows, units));
        for time in 0..length {
            let [at, from] = [time * rows * units, time * rows * stride];
            let step = shape.step(time);
            if let Some((weights, candidate_weights)) = fused {
                self.plan.push(GruResetProduct { step, weights, inputs, gates, resets })?;
                let weights = candidate_weights;
                self.plan.push(GruProduct { step, weights, resets, gates, candidates, inputs })?;
                continue;
            }
            product.push([from, 2 * at], self)?;
            self.plan.push(GruReset { step, inputs, gates, resets })?;
            second.push([from, at], self)?;
            self.plan.push(kernels::Gru { step, gates, candidates, inputs })?;
        }
        let y = self.output(tensor)?;
        let sequence = [rows, length, units];
        let from = by_times(rows, stride, rows * stride + width);
        self.rearrange([inputs, y], sequence, [from, by_rows(sequence)])?;
        if self.mode != Mode::Look {
            let from = one_time(stride, length * rows * stride + width);
            self.rearrange([inputs, state], [1, rows, units], [from, one_time(units, 0)])?;
        }
        self.tapes[tensor.0] = Some(super::Tape::Gru(Tape { inputs, resets, gates, candidates }));
        Ok(())
    }

    pub(super) fn gru_gradient(&mut self, tensor: Tensor, shape: Gru) -> Result<()> {
        let Gru { rows, length, width, units } = shape;
        let nodes = self.graph.nodes[tensor.0].inputs.clone();
        let gradient = self.slot(nodes[0])?;
        let Some(super::Tape::Gru(forward)) = self.tapes[nodes[1].0].clone() else {
            return Err(self.lacks(tensor));
        };
        let Tape { inputs, gates, candidates, .. } = forward;
        let carry = self.tape(tensor, "carry", &[rows, units])?;
        let of_gates = self.tape(tensor, "of_gates", &[length, rows, 2 * units])?;
        let of_candidates = self.tape(tensor, "of_candidates", &[length, rows, units])?;
        // What all steps send back to x is two products after them. What each sends to the state is
        // two of its own, or is part of its halves.
        let sent = self.tape(tensor, "sent", &[length, rows, width])?;
        let Masked { values: b, mask } = self.read(nodes[2])?;
        let all = [length * rows, width, 2 * units];
        let of_inputs = Matmul::new(Form::NT, [of_gates, b, sent], all);
        let of_inputs = Matmul { mask, ..of_inputs };
        let gates_weights = StateWeights { values: b, mask, width };
        let Masked { values: b, mask } = self.read(nodes[4])?;
        let of_resets = Matmul { a: of_candidates, b, mask, k: units, ..of_inputs };
        let candidate_weights = StateWeights { values: b, mask, width };
        let halves = self.step_reads_f16([rows, units], [rows, units, 2 * units]);
        let fuses = !halves && LstmProduct::pays(self.plan.target(), rows, units);
        let returned = match fuses {
            true => None,
            false => Some([
                self.tape(tensor, "returned", &[rows, units])?,
                self.tape(tensor, "of_resets", &[rows, units])?,
            ]),
        };
        let operands = |what, kernel| [(what, PeakOf::Itself), ("kernel", PeakOf::Tensor(kernel))];
        let [m, n, first_column] = [rows, units, width];
        for time in (0..length).rev() {
            let at = time * rows * units;
            let step = shape.step(time);
            match returned.filter(|_| time + 1 < length) {
                None if time + 1 < length => self.plan.push(GruGradientProduct {
                    step,
                    weights: gates_weights,
                    gates,
                    candidates,
                    inputs,
                    carry,
                    of_gates,
                    of_candidates,
                })?,
                returned => self.plan.push(kernels::GruGradient {
                    step,
                    gradient,
                    recurrent: returned.map(|[returned, _]| returned),
                    gates,
                    candidates,
                    inputs,
                    carry,
                    of_gates,
                    of_candidates,
                })?,
            }
            let Some([to_state, c]) = returned else {
                let weights = candidate_weights;
                self.plan.push(GruResetGradientProduct {
                    step,
                    weights,
                    gradient,
                    gates,
                    inputs,
                    of_candidates,
                    carry,
                    of_gates,
                })?;
                continue;
            };
            let begin = [at, 0];
            let product = Matmul { c, m, n, first_column, begin, ..of_resets };
            self.returned(product, operands("of_candidates", nodes[4]), halves)?;
            let recurrent = c;
            self.plan.push(GruResetGradient { step, recurrent, gates, inputs, carry, of_gates })?;
            // Nothing is before the first step.
            if time > 0 {
                let (c, begin) = (to_state, [2 * at, 0]);
                let product = Matmul { c, m, n, first_column, begin, ..of_inputs };
                self.returned(product, operands("of_gates", nodes[2]), halves)?;
            }
        }
        self.product_of_times(of_inputs, operands("of_gates", nodes[2]), false)?;
        self.product_of_times(of_resets, operands("of_candidates", nodes[4]), true)?;
        let of_x = self.output(tensor)?;
        let extents = [rows, length, width];
        self.rearrange([sent, of_x], extents, [by_times(rows, width, 0), by_rows(extents)])?;
        let tape = GradientTape { shape, forward, of_gates, of_candidates };
        self.tapes[tensor.0] = Some(super::Tape::GruGradient(tape));
        Ok(())
    }

    /// Gradient of the `of`-th of gates' kernel and bias, candidate's kernel and bias.
    pub(super) fn gru_weight_gradient(
        &mut self,
        tensor: Tensor,
        of: usize,
        tape: GradientTape,
    ) -> Result<()> {
        let GradientTape { shape, forward, of_gates, of_candidates } = tape;
        let rows = shape.length * shape.rows;
        let out = self.output(tensor)?;
        let (a, x, columns, names) = match of {
            0 | 1 => (forward.inputs, of_gates, 2 * shape.units, ["inputs", "of_gates"]),
            _ => (forward.resets, of_candidates, shape.units, ["resets", "of_candidates"]),
        };
        if of % 2 == 1 {
            return ColumnSum { x, out, rows, columns }.push(self.plan);
        }
        let extents = [shape.stride(), columns, rows];
        let product = Matmul::new(Form::TN, [a, x, out], extents);
        self.product_of_times(product, names.map(|name| (name, PeakOf::Itself)), false)
    }
}
