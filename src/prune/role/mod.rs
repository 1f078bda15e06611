//! What the tensors of a file are: the weights of products, which a pruning may zero, and all that
//! it must leave alone. Of a network of ours the layers say it; of others the names, shapes and
//! dtypes of the field's layouts.
mod layout;
mod names;
mod own;
mod quantised;
mod refuse;

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

pub use layout::is_ragged;
pub use own::OwnModel;
pub use refuse::refuse_quantised;

pub(crate) use refuse::UNQUANTISED;

use crate::storage::{Dtype, TensorInfo};

/// What a tensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// A factor of a product with what a layer reads: the only one that a pruning is for.
    Weight,
    /// A table of which each token reads one row.
    Embedding,
    /// The last layer, which gives the answers.
    Head,
    /// What is added or learned by position.
    Position,
    /// A learned input, such as a class token.
    Token,
    /// What chooses the experts that a token goes to.
    Router,
    /// Scales and shifts of a normalisation or of channels.
    Norm,
    /// Running moments, which no gradient moves.
    Statistic,
    /// Constants: masks, indices, frequencies.
    Buffer,
    /// What is added, of any rank.
    Bias,
    /// One axis: a bias, a norm, a scale.
    Vector,
    /// What sets how the state of a state-space model goes on, or an optimizer's state.
    State,
    /// A low-rank adapter, whose product is the weight.
    Adapter,
    /// What training of a network of ours leaves dense.
    Dense,
    /// Scales, zero points and indices of quantised weights.
    Scale,
    /// Weights as codes, not as numbers: a file with them is refused.
    Quantised,
    /// A weight that its file holds as two tensors: such a file is refused.
    Pair,
    /// Neither its name nor its shape says.
    Unknown,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Weight => "weight",
            Self::Embedding => "embedding",
            Self::Head => "head",
            Self::Position => "position",
            Self::Token => "token",
            Self::Router => "router",
            Self::Norm => "norm",
            Self::Statistic => "statistic",
            Self::Buffer => "buffer",
            Self::Bias => "bias",
            Self::Vector => "vector",
            Self::State => "state",
            Self::Adapter => "adapter",
            Self::Dense => "dense",
            Self::Scale => "scale",
            Self::Quantised => "quantised",
            Self::Pair => "pair",
            Self::Unknown => "unknown",
        })
    }
}

/// What a tensor is taken for, and by which rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Taken {
    /// What it is.
    pub role: Role,
    /// The axis of its inputs, which a product sums over; the last for a vector.
    pub axis: usize,
    /// Why.
    pub reason: Cow<'static, str>,
    /// Whether the name, or the network that it is of, decided.
    pub certain: bool,
}

impl Taken {
    fn new(role: Role, axis: usize, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { role, axis, reason: reason.into(), certain: true }
    }

    /// Whether its values may say more than its name: what could be a mask of 0 and 1.
    pub fn is_suspect(&self, tensor: &TensorInfo) -> bool {
        let by_name = matches!(self.role, Role::Bias | Role::Unknown) || !self.certain;
        by_name && tensor.shape.len() >= 2 && is_rankable(&tensor.dtype)
    }

    /// The same for a suspect all of whose values are 0 or 1.
    pub fn holding_a_mask(self) -> Self {
        Self::new(Role::Buffer, self.axis, "it holds only 0 and 1: a mask")
    }
}

/// Whether values of `dtype` are floats that a pruning ranks exactly.
pub fn is_rankable(dtype: &Dtype) -> bool {
    matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16)
}

/// What each of `tensors`, all those of one checkpoint, is taken for, in their order.
pub fn roles(tensors: &[&TensorInfo], own: Option<&OwnModel>) -> Vec<Taken> {
    if let Some(own) = own {
        return tensors.iter().map(|t| own.role(t)).collect();
    }
    let file = layout::File::new(tensors);
    let of = |t: &&TensorInfo| {
        quantised::role(t, &file)
            .or_else(|| pair(t, &file))
            .unwrap_or_else(|| names::role(t, &file))
    };
    tensors.iter().map(of).collect()
}

/// One of the two tensors that `torch.nn.utils.prune` makes of a weight.
fn pair(tensor: &TensorInfo, file: &layout::File<'_>) -> Option<Taken> {
    let beside = |end: &str, other: &str| {
        let stem = tensor.name.strip_suffix(end)?;
        file.get(&format!("{stem}{other}"))
    };
    let reason = match (beside("_orig", "_mask"), beside("_mask", "_orig")) {
        (Some(_), _) => "the values of a weight of torch.nn.utils.prune, under the mask beside it",
        (_, Some(_)) => "a mask of torch.nn.utils.prune for the values beside it",
        _ => return None,
    };
    let role = if tensor.name.ends_with("_orig") { Role::Pair } else { Role::Buffer };
    Some(Taken::new(role, layout::OUT_IN, reason))
}
