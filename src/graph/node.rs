//! What a graph is made of.
use super::{Shape, Tensor};
use crate::kernels::{Activation, Convolution, Form};

/// An operation of a graph. Each becomes one launch, named as its kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    /// Written by the host.
    Features,
    /// Written by the host.
    Labels,
    /// A trainable tensor.
    Parameter,
    /// Inputs `a`, `b` and perhaps a bias: `activation(op(a) op(b) + bias)`.
    Matmul {
        /// Which inputs are stored transposed.
        form: Form,
        /// Applied to the result.
        activation: Activation,
    },
    /// Inputs `a`, `b` and perhaps a bias: one of the products of a convolution.
    Conv2d {
        /// Which of the three.
        form: Form,
        /// The extents.
        shape: Convolution,
        /// Applied to the result.
        activation: Activation,
    },
    /// Input `x`: the same elements under another shape, in the same memory.
    Reshape,
    /// Inputs `gradient`, `output`: a gradient through an activation.
    Gate {
        /// The activation that made `output`.
        activation: Activation,
    },
    /// Inputs `x`, `y`: their sum.
    Add,
    /// Input `x`: sums over its rows.
    ColumnSum,
    /// Inputs `logits`, `labels`: loss of each row over the number of rows.
    SoftmaxCrossEntropy,
    /// Inputs `logits`, `labels`: loss of each row over the number of rows.
    LogLoss {
        /// Added inside the logarithms.
        epsilon: f32,
    },
    /// Input the losses of a loss: gradient of their sum by the logits. The loss's launch writes it.
    LossGradient,
    /// Inputs `logits`, `labels`: 1 for each row that is right.
    Correct,
}

impl Op {
    /// Name for errors.
    pub fn name(self) -> &'static str {
        match self {
            Self::Features => "features",
            Self::Labels => "labels",
            Self::Parameter => "parameter",
            Self::Matmul { .. } => "matmul",
            Self::Conv2d { .. } => "conv2d",
            Self::Reshape => "reshape",
            Self::Gate { .. } => "gate",
            Self::Add => "add",
            Self::ColumnSum => "column_sum",
            Self::SoftmaxCrossEntropy => "softmax_cross_entropy",
            Self::LogLoss { .. } => "log_loss",
            Self::LossGradient => "loss_gradient",
            Self::Correct => "correct",
        }
    }
}

/// An operation, what it reads and what it makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The operation.
    pub op: Op,
    /// What it reads, in the order that the operation documents.
    pub inputs: Vec<Tensor>,
    /// Shape of its output.
    pub shape: Shape,
    /// Name of its output, for plans and errors.
    pub name: String,
}

/// A trainable tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Dotted and unique: `fc1.weight`.
    pub name: String,
    /// Extents.
    pub shape: Shape,
    /// Its node.
    pub tensor: Tensor,
    /// Whether it has a mask.
    pub masked: bool,
}
