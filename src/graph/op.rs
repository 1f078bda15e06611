//! What the passes over a graph must know of each operation, said of all of them: no arm here is a
//! wildcard, so that a new operation does not compile before it is said of it.
use super::Op;
use crate::kernels::Form;

/// Where the output of an operation is, and so what may be written over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    /// There before the launches: the host's, or a parameter's.
    Bound,
    /// The memory of its input, which its readers then read.
    Input,
    /// Memory of its own in training, that of its input in evaluation.
    InputInEvaluation,
    /// A second output of the launch of its input.
    Beside,
    /// Memory of its own, and nothing else is read or written past its launch.
    Own,
    /// Later nodes read more than its output, or read again what it has read.
    Tape,
}

impl Op {
    pub(super) fn home(self) -> Home {
        match self {
            Self::Features | Self::Labels | Self::Parameter => Home::Bound,
            Self::Reshape => Home::Input,
            Self::Dropout { .. } => Home::InputInEvaluation,
            Self::LossGradient => Home::Beside,
            Self::Lstm { .. }
            | Self::LstmGradient { .. }
            | Self::Gru { .. }
            | Self::GruGradient { .. }
            | Self::RecurrentGradient { .. } => Home::Tape,
            Self::Matmul { .. }
            | Self::Conv2d { .. }
            | Self::Gate { .. }
            | Self::Activate { .. }
            | Self::Add
            | Self::Mul
            | Self::ColumnSum
            | Self::Pool { .. }
            | Self::PoolGradient { .. }
            | Self::LrnScale { .. }
            | Self::Lrn { .. }
            | Self::LrnGradient { .. }
            | Self::Normalise { .. }
            | Self::NormaliseGradient { .. }
            | Self::Softmax
            | Self::SoftmaxGradient
            | Self::Moments { .. }
            | Self::BatchNormalise { .. }
            | Self::BatchNormaliseGradient { .. }
            | Self::Embedding
            | Self::EmbeddingGradient
            | Self::Attention { .. }
            | Self::AttentionGradient { .. }
            | Self::SoftmaxCrossEntropy { .. }
            | Self::LogLoss { .. }
            | Self::SquaredError
            | Self::SigmoidCrossEntropy
            | Self::Correct
            | Self::TopK { .. }
            | Self::AbsoluteError
            | Self::RightLabels => Home::Own,
        }
    }

    /// The operation that computes this one's output again for the backward pass, without what must
    /// happen once a step; `None` where the first output is kept.
    pub(super) fn recomputed(self) -> Option<Self> {
        match self {
            Self::BatchNormalise { shape, decay: _ } => {
                Some(Self::BatchNormalise { shape, decay: None })
            }
            // The other forms are gradients.
            Self::Matmul { form, .. } | Self::Conv2d { form, .. } => {
                (form == Form::NN).then_some(self)
            }
            Self::Reshape
            | Self::Activate { .. }
            | Self::Dropout { .. }
            | Self::Add
            | Self::Mul
            | Self::Pool { .. }
            | Self::LrnScale { .. }
            | Self::Lrn { .. }
            | Self::Normalise { .. }
            | Self::Softmax
            | Self::Embedding
            | Self::Attention { .. } => Some(self),
            // There anyway.
            Self::Features | Self::Labels | Self::Parameter => None,
            // Small.
            Self::Moments { .. } | Self::ColumnSum => None,
            // Gradients read the tapes of the first.
            Self::Lstm { .. } | Self::Gru { .. } => None,
            // What ends a forward pass is read by no layer.
            Self::SoftmaxCrossEntropy { .. }
            | Self::LogLoss { .. }
            | Self::SquaredError
            | Self::SigmoidCrossEntropy
            | Self::Correct
            | Self::TopK { .. }
            | Self::AbsoluteError
            | Self::RightLabels => None,
            // Of the backward pass itself.
            Self::LossGradient
            | Self::Gate { .. }
            | Self::PoolGradient { .. }
            | Self::LrnGradient { .. }
            | Self::NormaliseGradient { .. }
            | Self::SoftmaxGradient
            | Self::BatchNormaliseGradient { .. }
            | Self::EmbeddingGradient
            | Self::AttentionGradient { .. }
            | Self::LstmGradient { .. }
            | Self::GruGradient { .. }
            | Self::RecurrentGradient { .. } => None,
        }
    }
}
