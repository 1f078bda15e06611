//! LSTM: upstream's `MaskedBasicLSTMCell` and `MaskedLSTMCell`, unrolled.
use super::super::autodiff::Backward;
use super::super::lower::{Lowering, Mode};
use super::super::op::{Facts, Home, Operation};
use super::super::packs::PackedUse;
use super::super::ops::LstmGradient;
use super::super::stored::{Factor, Masked};
use super::super::{Graph, Node, Shape, Tensor};
use super::{GateExtents, by_rows, by_times, one_time};
use crate::gpu::Slot;
use crate::kernels::{
    self, Form, LstmProduct, LstmStep, Matmul, PackedProduct, Rearrange, Stride,
};
use crate::{Error, Result};

/// Constants of [`Graph::lstm`], with upstream's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LstmOptions {
    /// Added to the sum of the forget gate, inside its sigmoid.
    pub forget_bias: f32,
    /// Highest magnitude of a cell; none by default.
    pub cell_clip: Option<f32>,
    /// Highest magnitude of a projected output; none by default.
    pub projection_clip: Option<f32>,
}

impl Default for LstmOptions {
    fn default() -> Self {
        Self { forget_bias: 1.0, cell_clip: None, projection_clip: None }
    }
}

/// Operands of [`Graph::lstm`]; the kernel may have a mask, and so may the projection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LstmWeights {
    /// `[width + outputs, 4 * units]`: rows of x, then of the state; columns of the gates i, j, f,
    /// o.
    pub kernel: Tensor,
    /// `[4 * units]`
    pub bias: Tensor,
    /// `[3, units]`: of i, f and o.
    pub peepholes: Option<Tensor>,
    /// `[units, outputs]`; without it there are as many outputs as units.
    pub projection: Option<Tensor>,
    /// State h, [`Graph::carried`] `[batch, outputs]`.
    pub outputs: Tensor,
    /// State c, [`Graph::carried`] `[batch, units]`.
    pub cells: Tensor,
}

/// Inputs `x`, the weights, the states: an LSTM over a batch of sequences, by its extents and
/// constants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lstm {
    /// Sequences.
    pub rows: u32,
    /// Positions of each.
    pub length: u32,
    /// Features of a position.
    pub width: u32,
    /// Units.
    pub units: u32,
    /// Outputs: units, or what they are projected to.
    pub outputs: u32,
    /// Whether the gates see the cells.
    pub peepholes: bool,
    /// Whether the outputs are projected.
    pub projects: bool,
    /// Constants.
    pub options: LstmOptions,
}

/// What the forward pass leaves.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Tape {
    /// `[length + 1, rows, width + outputs]`: what the kernel is multiplied with.
    pub(super) inputs: Slot,
    /// `[length, rows, 4 * units]`
    pub(super) gates: Slot,
    /// `[length + 1, rows, units]`
    pub(super) cells: Slot,
    /// `[length, rows, units]` and `[length, rows, outputs]`: what the projection is multiplied
    /// with, and makes.
    pub(super) projected: Option<[Slot; 2]>,
}

impl Lstm {
    /// How many of the operands are weights: kernel, bias, and perhaps peepholes and projection.
    pub(super) fn weights(&self) -> usize {
        2 + usize::from(self.peepholes) + usize::from(self.projects)
    }

    pub(super) fn stride(&self) -> u32 {
        self.width + self.outputs
    }

    pub(super) fn step(&self, time: u32) -> LstmStep {
        let &Self { rows, units, options, .. } = self;
        LstmStep { rows, units, time, forget_bias: options.forget_bias, clip: options.cell_clip }
    }

    /// Where the state of one time is among the inputs.
    pub(super) fn state(&self, time: u32) -> Stride {
        Stride { begin: time * self.rows * self.stride() + self.width, stride: self.stride() }
    }
}

impl Graph {
    /// An LSTM over `x [batch, length, width]`: its outputs `[batch, length, outputs]`. The gates
    /// are i, j, f, o in upstream's order: `c = sigmoid(f + forget_bias) c + sigmoid(i) tanh(j)`,
    /// `h = sigmoid(o) tanh(c)`.
    ///
    /// # Errors
    /// [`Error::Shape`] names the operand that does not fit, [`Error::Argument`] the clip that is
    /// not above 0.
    pub fn lstm(
        &mut self,
        x: Tensor,
        weights: LstmWeights,
        options: LstmOptions,
    ) -> Result<Tensor> {
        let [rows, length, width] = self.sequence("lstm", x)?;
        let LstmWeights { kernel, bias, peepholes, projection, outputs: h, cells: c } = weights;
        for (name, clip) in
            [("cell_clip", options.cell_clip), ("projection_clip", options.projection_clip)]
        {
            if clip.is_some_and(|clip| !(clip > 0.0 && clip.is_finite())) {
                let message = format!("{} must be above 0 and finite", clip.unwrap_or(0.0));
                return Err(Error::argument(name, message));
            }
        }
        if !options.forget_bias.is_finite() {
            return Err(Error::argument("forget_bias", "must be finite".to_owned()));
        }
        let units = self.shape(kernel).dims().last().copied().unwrap_or(0) / 4;
        let outputs = match projection.map(|p| self.shape(p).dims()) {
            None => units,
            Some(&[_, outputs]) => outputs,
            Some(_) => 0,
        };
        if units == 0 || outputs == 0 || length == 0 {
            let (kernel, of) = (self.shape(kernel), projection.map(|p| self.shape(p).to_string()));
            let message = format!(
                "kernel {kernel} needs 4 columns a unit, projection {of:?} a column an output, x a position or more"
            );
            return Err(Error::shape("lstm", message));
        }
        let operands = [
            ("kernel", Some(kernel), vec![width + outputs, 4 * units]),
            ("bias", Some(bias), vec![4 * units]),
            ("peepholes", peepholes, vec![3, units]),
            ("projection", projection, vec![units, outputs]),
            ("outputs", Some(h), vec![rows, outputs]),
            ("cells", Some(c), vec![rows, units]),
        ];
        let mut inputs = vec![x];
        for (name, tensor, want) in operands {
            let Some(tensor) = tensor else { continue };
            self.check_operand("lstm", name, tensor, &want)?;
            inputs.push(tensor);
        }
        let (peepholes, projects) = (peepholes.is_some(), projection.is_some());
        let shape = Lstm { rows, length, width, units, outputs, peepholes, projects, options };
        let name = self.layer_of(kernel);
        Ok(self.push(shape, inputs, Shape::new([rows, length, outputs]), &name))
    }
}

impl Operation for Lstm {
    fn facts(&self) -> Facts {
        Facts { name: "lstm", home: Home::Tape, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        lowering.lstm(tensor, *self)
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        backward.recurrent(tensor, gradient, LstmGradient { shape: *self }, self.weights())
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
            1 => Ok(PackedUse::new(operation, self.rows, self.outputs)),
            _ if self.projects && place == 2 + usize::from(self.peepholes) + 1 => {
                Ok(PackedUse::new(operation, self.rows, self.units))
            }
            _ => Err(format!("{operation} reads all of it")),
        }
    }
}

/// Operands of the node of an LSTM after x.
pub(super) struct Operands {
    pub(super) kernel: Tensor,
    pub(super) bias: Slot,
    pub(super) peepholes: Option<Slot>,
    pub(super) projection: Option<Tensor>,
}

impl Lowering<'_> {
    pub(super) fn lstm_operands(&self, shape: &Lstm, tensors: &[Tensor]) -> Result<Operands> {
        let mut tensors = tensors.iter();
        let mut next =
            || tensors.next().copied().ok_or_else(|| Error::shape("lstm", "too few operands"));
        Ok(Operands {
            kernel: next()?,
            bias: self.slot(next()?)?,
            peepholes: if shape.peepholes { Some(self.slot(next()?)?) } else { None },
            projection: if shape.projects { Some(next()?) } else { None },
        })
    }

    pub(super) fn lstm(&mut self, tensor: Tensor, shape: Lstm) -> Result<()> {
        let Lstm { rows, length, width, units, outputs, .. } = shape;
        let stride = shape.stride();
        let nodes = self.graph.nodes[tensor.0].inputs.clone();
        let operands = self.lstm_operands(&shape, &nodes[1..])?;
        let x = self.slot(nodes[0])?;
        let &[.., h, c] = nodes.as_slice() else { return Err(self.lacks(tensor)) };
        let (h, c) = (self.slot(h)?, self.slot(c)?);
        let inputs = self.tape(tensor, "inputs", &[length + 1, rows, stride])?;
        let gates = self.tape(tensor, "gates", &[length, rows, 4 * units])?;
        let cells = self.tape(tensor, "cells", &[length + 1, rows, units])?;
        let projected = match shape.projects {
            true => Some([
                self.tape(tensor, "hidden", &[length, rows, units])?,
                self.tape(tensor, "projected", &[length, rows, outputs])?,
            ]),
            false => None,
        };
        let sequence = [rows, length, width];
        self.rearrange([x, inputs], sequence, [by_rows(sequence), by_times(rows, stride, 0)])?;
        for (state, out, extent, stride, begin) in
            [(h, inputs, outputs, stride, width), (c, cells, units, units, 0)]
        {
            let (from, to) = (one_time(extent, 0), one_time(stride, begin));
            let moved = Rearrange::new([state, out], [1, rows, extent], [from, to]);
            self.plan.push(Rearrange { resumes: Some(self.bindings.step), ..moved })?;
        }
        // What the inputs of all times add to the gates' sums is one product; what the states add,
        // one a time.
        let weights = (nodes[0], operands.kernel, operands.bias);
        let of = [inputs, inputs, gates];
        // A projection's outputs have no bound.
        let halves = !shape.projects && self.step_reads_f16([rows, units], [rows, 4 * units, outputs]);
        let extents = GateExtents { rows, length, width, stride, sums: 4 * units, halves };
        let product = self.gates(weights, of, extents)?;
        let fused = LstmProduct::pays(self.plan.target(), rows, units);
        let fused = product.weights(width).filter(|_| fused);
        let projection = operands.projection.map(|p| self.factor(p, [outputs, units])).transpose()?;
        for time in 0..length {
            let step = shape.step(time);
            let (out, to) = match projected {
                None => (inputs, shape.state(time + 1)),
                Some([hidden, _]) => (hidden, Stride { begin: time * rows * units, stride: units }),
            };
            let peepholes = operands.peepholes;
            match fused {
                Some(weights) => self.plan.push(LstmProduct {
                    step,
                    weights,
                    peepholes,
                    projected: projected.map(|_| inputs),
                    from: shape.state(time),
                    outputs,
                    gates,
                    cells,
                    out,
                    to,
                })?,
                None => {
                    product.push([time * rows * stride, time * rows * 4 * units], self)?;
                    let step = kernels::Lstm { step, peepholes, gates, cells, out, to };
                    self.plan.push(step)?;
                }
            }
            if let (Some([hidden, projected]), Some(projection)) = (projected, &projection) {
                let begin = [time * rows * units, time * rows * outputs];
                match *projection {
                    Factor::Dense(Masked { values: b, mask }) => {
                        let of = [rows, outputs, units];
                        let product = Matmul::new(Form::NN, [hidden, b, projected], of);
                        Matmul { mask, begin, ..product }.push(self.plan)?;
                    }
                    Factor::Packed(b) => {
                        let product = PackedProduct::new(hidden, b, projected, rows);
                        PackedProduct { begin, ..product }.push(self.plan)?;
                    }
                }
                let from = one_time(outputs, time * rows * outputs);
                let to = one_time(stride, shape.state(time + 1).begin);
                let limit = shape.options.projection_clip;
                let moved =
                    Rearrange::new([projected, inputs], [1, rows, outputs], [from, to]);
                self.plan.push(Rearrange { limit, ..moved })?;
            }
        }
        let y = self.output(tensor)?;
        let sequence = [rows, length, outputs];
        let from = by_times(rows, stride, shape.state(1).begin);
        self.rearrange([inputs, y], sequence, [from, by_rows(sequence)])?;
        if self.mode != Mode::Look {
            let from = one_time(stride, shape.state(length).begin);
            self.rearrange([inputs, h], [1, rows, outputs], [from, one_time(outputs, 0)])?;
            let from = one_time(units, length * rows * units);
            self.rearrange([cells, c], [1, rows, units], [from, one_time(units, 0)])?;
        }
        let tape = Tape { inputs, gates, cells, projected };
        self.tapes[tensor.0] = Some(super::Tape::Lstm(tape));
        Ok(())
    }
}
