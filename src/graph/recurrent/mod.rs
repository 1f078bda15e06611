//! Recurrent layers: a whole sequence is one node, unrolled into launches when it is lowered.
//!
//! The state after the last position of a batch is kept; a batch whose rows go on from those of the
//! one before ([`crate::kernels::Step::follows`]) begins with it, any other with zeros: truncated
//! backpropagation through time.
mod f16;
mod gru;
mod lstm;
mod lstm_gradient;

use super::autodiff::Backward;
use super::f16::PeakOf;
use super::lower::Lowering;
use super::op::{Facts, Home, Operation};
use super::stored::{Factor, Masked};
use super::{Graph, Op, Shape, Tensor};
use crate::gpu::Slot;
use crate::kernels::{Form, Matmul, PackedProduct, Rearrange, StateWeights, Strides};
use crate::{Error, Result};

pub use gru::{Gru, GruGradient, GruWeights};
pub use lstm::{Lstm, LstmOptions, LstmWeights};
pub use lstm_gradient::LstmGradient;

/// What the forward pass leaves to the backward pass, and that to the gradients of the weights.
#[derive(Debug, Clone)]
pub(super) enum Tape {
    Lstm(lstm::Tape),
    LstmGradient(lstm_gradient::GradientTape),
    Gru(gru::Tape),
    GruGradient(gru::GradientTape),
}

impl Graph {
    /// A tensor that goes on from batch to batch, `[batch, ...]`, zero at first: the state of a
    /// recurrent layer. It is in checkpoints, and no part of the model.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that is taken.
    pub fn carried(&mut self, name: impl Into<String>, shape: impl Into<Shape>) -> Result<Tensor> {
        let tensor = self.statistic(name, shape, super::Init::Constant(0.0))?;
        if let Some(parameter) = self.parameters.last_mut() {
            parameter.carried = true;
        }
        Ok(tensor)
    }

    /// Rows, positions and features of `x`.
    fn sequence(&self, op: &str, x: Tensor) -> Result<[u32; 3]> {
        let xs = self.shape(x);
        <[u32; 3]>::try_from(xs.dims()).map_err(|_| {
            let message = format!("x {xs} has rank {}, not 3: [batch, length, width]", xs.rank());
            Error::shape(op, message)
        })
    }

    fn check_operand(&self, op: &str, name: &str, tensor: Tensor, want: &[u32]) -> Result<()> {
        let shape = self.shape(tensor);
        match shape.dims() == want {
            true => Ok(()),
            false => Err(Error::shape(op, format!("{name} {shape} must be {want:?}"))),
        }
    }
}

impl Backward<'_> {
    /// Sends the gradient of a recurrent layer, whose first operands after x are `weights`, on by
    /// the operation `op` and what its launches leave.
    fn recurrent(
        &mut self,
        tensor: Tensor,
        gradient: Tensor,
        op: impl Into<Op>,
        weights: usize,
    ) -> Result<()> {
        let inputs = self.graph.nodes[tensor.0].inputs.clone();
        let Some((&x, operands)) = inputs.get(..=weights).and_then(|i| i.split_first()) else {
            return Err(self.lacks(tensor, "lacks inputs"));
        };
        let of_x = self.like(op, [&[gradient, tensor], operands].concat(), x);
        // Its launches are also what the gradients of the weights read.
        self.pass(x, of_x);
        for (of, &weight) in operands.iter().enumerate() {
            self.send(weight, RecurrentGradient { of }, vec![of_x]);
        }
        Ok(())
    }
}

/// Input the gradient by `x` of a recurrent layer: that by one of its weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecurrentGradient {
    /// Which of them.
    pub of: usize,
}

impl Operation for RecurrentGradient {
    fn facts(&self) -> Facts {
        Facts { name: "recurrent_gradient", home: Home::Tape, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let [of_x] = lowering.inputs(tensor)?;
        match lowering.tapes[of_x.0].clone() {
            Some(Tape::LstmGradient(tape)) => lowering.lstm_weight_gradient(tensor, self.of, tape),
            Some(Tape::GruGradient(tape)) => lowering.gru_weight_gradient(tensor, self.of, tape),
            Some(Tape::Lstm(_) | Tape::Gru(_)) | None => Err(lowering.lacks(tensor)),
        }
    }
}

impl Lowering<'_> {
    fn rearrange(
        &mut self,
        [x, out]: [Slot; 2],
        extents: [u32; 3],
        [from, to]: [Strides; 2],
    ) -> Result<()> {
        self.plan.push(Rearrange::new([x, out], extents, [from, to]))
    }

    /// Scratch of a layer, `words` as 64 bits.
    fn tape(&mut self, tensor: Tensor, what: &str, dims: &[u32]) -> Result<Slot> {
        let name = format!("{}.{what}", self.graph.nodes[tensor.0].name);
        let words = Shape::new(dims)
            .elements()
            .ok_or_else(|| Error::shape(&name, format!("{dims:?} has 2^32 elements or more")))?;
        Ok(self.plan.scratch(name, words))
    }
}

/// What inputs and states add to the gates' sums at one time.
enum StepProduct {
    /// What the states add, where that of the inputs of all times is there.
    Dense(Matmul),
    /// The same over halves.
    Halves(Matmul, f16::Operands),
    /// Both at once, by weights that are packed.
    Packed(PackedProduct),
}

/// Extents of a gates' product.
#[derive(Clone, Copy)]
struct GateExtents {
    rows: u32,
    length: u32,
    width: u32,
    /// Inputs and states.
    stride: u32,
    /// Sums of a row.
    sums: u32,
    /// Whether the product of a step reads halves: its states are 1 at most.
    halves: bool,
}

impl StepProduct {
    /// Where a launch that also does the step finds the weights of the states, if they are dense.
    fn weights(&self, width: u32) -> Option<StateWeights> {
        match *self {
            Self::Dense(Matmul { b: values, mask, .. }) => {
                Some(StateWeights { values, mask, width })
            }
            Self::Halves(..) | Self::Packed(_) => None,
        }
    }

    /// Appends that of the time whose inputs and gates begin there.
    fn push(&self, begin: [u32; 2], lowering: &mut Lowering<'_>) -> Result<()> {
        match *self {
            Self::Dense(product) => Matmul { begin, ..product }.push_onto(lowering.plan),
            Self::Halves(product, operands) => {
                lowering.product_over_halves(Matmul { begin, ..product }, operands, true)
            }
            Self::Packed(product) => PackedProduct { begin, ..product }.push(lowering.plan),
        }
    }
}

impl Lowering<'_> {
    /// Appends what the `inputs` of all times, which are those of `x`, add to the sums of `gates` by
    /// a dense `weight`, and says what each time is to add, of what is in `states`.
    fn gates(
        &mut self,
        (x, weight, bias): (Tensor, Tensor, Slot),
        [inputs, states, gates]: [Slot; 3],
        GateExtents { rows, length, width, stride, sums, halves }: GateExtents,
    ) -> Result<StepProduct> {
        match self.factor(weight, [sums, stride])? {
            Factor::Packed(b) => {
                let product = PackedProduct::new(states, b, gates, rows);
                Ok(StepProduct::Packed(PackedProduct { bias: Some(bias), ..product }))
            }
            Factor::Dense(Masked { values: b, mask }) => {
                let all = [length * rows, sums, stride];
                let of_inputs = Matmul::new(Form::NN, [inputs, b, gates], all);
                let of_inputs = Matmul { mask, terms: Some([0, width]), ..of_inputs };
                let biased = Matmul { bias: Some(bias), ..of_inputs };
                let operands = [("inputs", PeakOf::Tensor(x)), ("kernel", PeakOf::Tensor(weight))];
                self.product_of_times(biased, operands, false)?;
                let (a, terms) = (states, Some([width, stride]));
                let product = Matmul { a, m: rows, terms, ..of_inputs };
                let operands = [("states", PeakOf::One), ("kernel", PeakOf::Tensor(weight))];
                Ok(match halves {
                    true => StepProduct::Halves(product, operands),
                    false => StepProduct::Dense(product),
                })
            }
        }
    }
}

/// `[rows, length, width]` as it is.
fn by_rows([_, length, width]: [u32; 3]) -> Strides {
    Strides { begin: 0, outer: length * width, inner: width }
}

/// Rows and times of a tensor with the times outermost, `stride` elements a row, from `begin` on.
fn by_times(rows: u32, stride: u32, begin: u32) -> Strides {
    Strides { begin, outer: stride, inner: rows * stride }
}

/// The rows of one time, `stride` elements each, from `begin` on.
fn one_time(stride: u32, begin: u32) -> Strides {
    Strides { begin, outer: 0, inner: stride }
}
