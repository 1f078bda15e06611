//! The shapes that masks may be made of: what is ranked of a matrix, and how its mask follows from
//! the selection. One file each.
mod blocks;
mod channel;
mod element;
mod n_m;
mod unit;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::choice::Scope;
use super::spec::PruningSpec;
use super::tensor::PrunedTensor;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{BlockPooling, Blocks, mask_words};
use crate::{Error, Result};
use element::Element;
use n_m::Groups;
use unit::Unit;

/// What is kept or pruned as one. As text: `element`, `2:4`, `channel`; blocks are asked for by
/// `block_height` and `block_width`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Pattern {
    /// Each weight, or each block where blocks are asked for.
    #[default]
    Element,
    /// Of every `m` weights along the axis that a product sums over, `n` are left at the target
    /// sparsity, which must be `1 - n / m`; on the way there are more.
    Nm {
        /// Weights of a group that are left, below `m`.
        n: u32,
        /// Size of a group, at most 32.
        m: u32,
    },
    /// Whole output units (columns), by the mean or maximum of their weights. The last layer, whose
    /// units are the classes, stays dense unless it has a target of its own.
    Channel,
}

impl Pattern {
    /// The sparsity that it says itself.
    ///
    /// # Errors
    /// [`Error::Argument`] for N:M out of its range.
    pub fn sparsity(self) -> Result<Option<f64>> {
        match self {
            Self::Element | Self::Channel => Ok(None),
            Self::Nm { n, m } => {
                n_m::sparsity(n, m).map(Some).map_err(|e| Error::argument("pattern", e))
            }
        }
    }

    /// Refuses settings that exclude each other.
    pub(super) fn check(self, spec: &PruningSpec) -> Result<()> {
        if spec.scope == Scope::Unit {
            return unit::check(spec);
        }
        if self != Self::Element && spec.has_blocks() {
            let message = format!("{self}: blocks are a pattern too; choose one");
            return Err(Error::argument("pattern", message));
        }
        match self {
            Self::Element | Self::Channel => Ok(()),
            Self::Nm { n, m } => n_m::check(spec, n, m),
        }
    }

    /// The target of the last tensor with a mask, where it has none of its own.
    pub(super) fn last_target(self) -> Option<f64> {
        match self {
            Self::Element | Self::Nm { .. } => None,
            Self::Channel => channel::LAST_TARGET,
        }
    }

    /// The pattern on a matrix `[rows, columns]`, with `[height, width]` of its blocks.
    pub(super) fn on(self, scope: Scope, blocks: [i64; 2], [rows, columns]: [u32; 2]) -> Structure {
        match (self, scope) {
            (Self::Element, Scope::Unit) => Structure::Unit(Unit { rows }),
            (Self::Element, Scope::Layer | Scope::Global) => blocks::on(rows, columns, blocks),
            (Self::Channel, _) => channel::on(rows, columns),
            (Self::Nm { m, .. }, _) => Structure::Nm(Groups { m }),
        }
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            element::NAME => return Ok(Self::Element),
            channel::NAME => return Ok(Self::Channel),
            _ => {}
        }
        let nm = n_m::parse(text).map(|[n, m]| Self::Nm { n, m });
        nm.ok_or_else(|| format!("`{text}` must be element, channel or N:M, like 2:4"))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element => f.write_str(element::NAME),
            Self::Nm { n, m } => write!(f, "{n}:{m}"),
            Self::Channel => f.write_str(channel::NAME),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

/// A pattern on one matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Structure {
    Element(Element),
    Blocks(Blocks),
    Nm(Groups),
    Unit(Unit),
}

impl Structure {
    pub(super) fn form(&self) -> &dyn Form {
        match self {
            Self::Element(element) => element,
            Self::Blocks(blocks) => blocks,
            Self::Nm(groups) => groups,
            Self::Unit(unit) => unit,
        }
    }
}

/// What a structure's file says; as it stands here, of single weights.
pub(super) trait Form {
    /// What the ranking is among.
    fn among(&self) -> Among<'_>;

    /// How many units are ranked of a matrix of `len` elements.
    fn units(&self, len: u32) -> u32 {
        len
    }

    /// One value for each unit of `values`, one a weight, in a scratch tensor `name` if it takes
    /// one.
    fn pool(
        &self,
        plan: &mut PlanBuilder,
        name: String,
        pooling: BlockPooling,
        values: Slot,
        signed: bool,
    ) -> Result<Slot> {
        let _ = (plan, name, pooling, signed);
        Ok(values)
    }

    /// How many columns the units of `t` have, of each of which the highest can stay, and the mask
    /// that the selection writes.
    fn select(&self, plan: &mut PlanBuilder, t: &PrunedTensor) -> (u32, Slot) {
        let _ = plan;
        (t.units(), t.mask())
    }

    /// Appends what makes the mask of `t` of `selected`, that of the selection.
    fn spread(&self, plan: &mut PlanBuilder, t: &PrunedTensor, selected: Slot) -> Result<()> {
        let _ = (plan, t, selected);
        Ok(())
    }
}

/// What the units of a matrix are ranked among.
#[derive(Clone, Copy)]
pub(super) enum Among<'a> {
    /// All of them, of several tensors where these are ranked together.
    All,
    /// Groups of a fixed size.
    Groups(&'a dyn Grouped),
}

/// A structure that ranks within groups of a fixed size.
pub(super) trait Grouped {
    /// Weights of a group.
    fn size(&self) -> u32;

    /// Appends what makes the mask of `t` of its scores: the best `counts[selection]` of each
    /// group.
    fn push(
        &self,
        plan: &mut PlanBuilder,
        t: &PrunedTensor,
        values: Slot,
        counts: Slot,
        selection: u32,
    ) -> Result<()>;
}
