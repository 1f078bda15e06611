//! What a graph is made of.
use super::{Gru, Lstm, Shape, Tensor};
use serde::{Deserialize, Serialize};

use crate::kernels::{Activation, Columns, Convolution, Form, Heads, Lrn, Pooling, Rows};

/// An operation of a graph. Each becomes one launch, named as its kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    /// Written by the host.
    Features,
    /// Written by the host: class numbers, or the bits of f32 targets.
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
    /// Input `x`: an activation on its own.
    Activate {
        /// Applied to each element.
        activation: Activation,
    },
    /// Input `x`, or a gradient: elements left out at random.
    Dropout {
        /// Chance to be left out.
        rate: f32,
        /// Tells the layers of a network apart.
        stream: u32,
    },
    /// Inputs `x`, `y`: their sum, `y` repeated over the leading axes of `x`.
    Add,
    /// Inputs `x`, `y`: their product, `y` repeated over the leading axes of `x`.
    Mul,
    /// Input `x`: sums over its rows.
    ColumnSum,
    /// Input `x`: its windows, pooled.
    Pool {
        /// The extents.
        shape: Convolution,
        /// What becomes of a window.
        pooling: Pooling,
    },
    /// Inputs `gradient`, `x`: gradient of a pooling by `x`.
    PoolGradient {
        /// The extents.
        shape: Convolution,
        /// What became of a window.
        pooling: Pooling,
    },
    /// Input `x`: the scales of local response normalisation.
    LrnScale {
        /// Extents and constants.
        lrn: Lrn,
    },
    /// Inputs `x`, `scale`: `x` normalised.
    Lrn {
        /// Extents and constants.
        lrn: Lrn,
    },
    /// Inputs `gradient`, `x`, `scale`, `y`: gradient by `x` of both.
    LrnGradient {
        /// Extents and constants.
        lrn: Lrn,
    },
    /// Input `x`: each row normalised.
    Normalise {
        /// Extents and constants.
        rows: Rows,
    },
    /// Inputs `gradient`, `x`: gradient of that by `x`.
    NormaliseGradient {
        /// Extents and constants.
        rows: Rows,
    },
    /// Input `x`: softmax of each row.
    Softmax,
    /// Inputs `gradient`, `y`: gradient of that by its input, for its result `y`.
    SoftmaxGradient,
    /// Input `x`: means and variances of its columns.
    Moments {
        /// Extents.
        shape: Columns,
    },
    /// Inputs `x`, `moments`, `running`: each column normalised, in evaluation by `running`.
    BatchNormalise {
        /// Extents and constants.
        shape: Columns,
        /// Share of the running moments that stays; `None` leaves them.
        decay: Option<f32>,
    },
    /// Inputs `gradient`, `y`, `moments`, sums of `gradient`, sums of `gradient * y`: gradient of
    /// both by `x`.
    BatchNormaliseGradient {
        /// Extents and constants.
        shape: Columns,
    },
    /// Inputs `tokens`, `table`: rows of the table.
    Embedding,
    /// Inputs `tokens`, `gradient`: gradient of the table.
    EmbeddingGradient,
    /// Input `x`: attention among its positions.
    Attention {
        /// Extents.
        shape: Heads,
    },
    /// Inputs `x`, `gradient`: gradient of that by `x`.
    AttentionGradient {
        /// Extents.
        shape: Heads,
    },
    /// Inputs `x`, the weights, the states: an LSTM over a sequence.
    Lstm {
        /// Extents and constants.
        shape: Lstm,
    },
    /// Inputs `gradient`, the LSTM, its weights: gradient of that by `x`.
    LstmGradient {
        /// Extents and constants.
        shape: Lstm,
    },
    /// Inputs `x`, the weights, the state: a GRU over a sequence.
    Gru {
        /// Extents.
        shape: Gru,
    },
    /// Inputs `gradient`, the GRU, its weights: gradient of that by `x`.
    GruGradient {
        /// Extents.
        shape: Gru,
    },
    /// Input the gradient by `x` of a recurrent layer: that by one of its weights.
    RecurrentGradient {
        /// Which of them.
        of: usize,
    },
    /// Inputs `logits`, `labels`: loss of each row over the number of rows.
    SoftmaxCrossEntropy {
        /// Share of the target that is spread over all classes.
        smoothing: f32,
    },
    /// Inputs `logits`, `labels`: loss of each row over the number of rows.
    LogLoss {
        /// Added inside the logarithms.
        epsilon: f32,
    },
    /// Inputs `predictions`, `targets`: loss of each row over the numbers of rows and of their
    /// elements.
    SquaredError,
    /// Inputs `logits`, `targets`: loss of each row over the numbers of rows and of their elements.
    SigmoidCrossEntropy,
    /// Input the losses of a loss: gradient of their sum by its first input. The loss's launch
    /// writes it.
    LossGradient,
    /// Inputs `logits`, `labels`: 1 for each row that is right.
    Correct,
    /// Inputs `logits`, `labels`: 1 for each row whose label is among the highest logits.
    TopK {
        /// How many are the highest.
        k: u32,
    },
    /// Inputs `predictions`, `targets`: mean absolute error of each row.
    AbsoluteError,
    /// Inputs `logits`, `targets`: share of each row's labels that are right.
    RightLabels,
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
            Self::Activate { .. } => "activate",
            Self::Dropout { .. } => "dropout",
            Self::Add => "add",
            Self::Mul => "mul",
            Self::ColumnSum => "column_sum",
            Self::Pool { .. } => "pool",
            Self::PoolGradient { .. } => "pool_gradient",
            Self::LrnScale { .. } => "lrn_scale",
            Self::Lrn { .. } => "lrn",
            Self::LrnGradient { .. } => "lrn_gradient",
            Self::Normalise { .. } => "normalise",
            Self::NormaliseGradient { .. } => "normalise_gradient",
            Self::Softmax => "softmax",
            Self::SoftmaxGradient => "softmax_gradient",
            Self::Moments { .. } => "moments",
            Self::BatchNormalise { .. } => "batch_normalise",
            Self::BatchNormaliseGradient { .. } => "batch_normalise_gradient",
            Self::Embedding => "embedding",
            Self::EmbeddingGradient => "embedding_gradient",
            Self::Attention { .. } => "attention",
            Self::AttentionGradient { .. } => "attention_gradient",
            Self::Lstm { .. } => "lstm",
            Self::LstmGradient { .. } => "lstm_gradient",
            Self::Gru { .. } => "gru",
            Self::GruGradient { .. } => "gru_gradient",
            Self::RecurrentGradient { .. } => "recurrent_gradient",
            Self::SoftmaxCrossEntropy { .. } => "softmax_cross_entropy",
            Self::LogLoss { .. } => "log_loss",
            Self::SquaredError => "squared_error",
            Self::SigmoidCrossEntropy => "sigmoid_cross_entropy",
            Self::LossGradient => "loss_gradient",
            Self::Correct => "correct",
            Self::TopK { .. } => "top_k",
            Self::AbsoluteError => "absolute_error",
            Self::RightLabels => "right_labels",
        }
    }
}

/// An operation, what it reads and what it makes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
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

/// How a parameter begins: a function of the run's seed, the parameter's place and the index.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// Uniform in `+-sqrt(6 / (inputs + outputs))` (Glorot and Bengio 2010); a kernel of a
    /// convolution has as many inputs and outputs as a pixel of it meets.
    Glorot,
    /// Uniform in `+-sqrt(6 / inputs)` (He et al. 2015).
    He,
    /// All the same.
    Constant(f32),
    /// Means 0 and variances 1, for `[2, channels]` running statistics.
    Moments,
    /// Normal with this standard deviation around 0.
    Normal(f32),
    /// Normal with this standard deviation around 0, drawn again where it is more than two of them
    /// away.
    TruncatedNormal(f32),
}

/// A tensor that outlives a step.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Parameter {
    /// Dotted and unique: `fc1.weight`.
    pub name: String,
    /// Extents.
    pub shape: Shape,
    /// Its node.
    pub tensor: Tensor,
    /// Whether it has a mask.
    pub masked: bool,
    /// Whether an optimizer moves it; running statistics are not.
    pub trainable: bool,
    /// Its first values.
    pub init: Init,
    /// Whether it is a state that goes on from batch to batch, no part of the model.
    pub carried: bool,
    /// Weight decay of its own, added to its gradient as `decay * weight`.
    pub decay: f32,
}
