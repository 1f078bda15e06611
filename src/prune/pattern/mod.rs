//! The shapes that masks may be made of: what is ranked of a matrix, and how its mask follows from
//! the selection. One file each.
mod blocks;
mod unit;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::choice::Scope;
use super::spec::PruningSpec;
use super::tensor::PrunedTensor;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{BlockPooling, Units, mask_words};
use crate::{Error, Result};
use unit::Unit;

/// Declares the files as modules, and [`Pattern`] with a variant for each struct of theirs.
macro_rules! patterns {
    ($($(#[$doc:meta])* $file:ident: $name:ident $({ $($(#[$of:meta])* $field:ident: $ty:ty),+ })?;)+) => {
        $(mod $file;)+

        /// What is kept or pruned as one. As text: `element`, `2:4`, `8:32x32`, `channel`;
        /// blocks are asked for by `block_height` and `block_width`.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        #[non_exhaustive]
        pub enum Pattern {
            $($(#[$doc])* $name $({ $($(#[$of])* $field: $ty),+ })?),+
        }

        impl Pattern {
            /// What the pattern's file says of it.
            fn kind(self) -> Box<dyn Kind> {
                match self {
                    $(Self::$name $({ $($field),+ })? =>
                        Box::new($file::$name $({ $($field),+ })?)),+
                }
            }
        }

        impl FromStr for Pattern {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                None$(.or_else(|| $file::$name::parse(text)))+.ok_or_else(|| {
                    let all = [$($file::$name::SAID),+].join(", ");
                    format!("`{text}` must be one of {all}")
                })
            }
        }
    };
}

// Add a pattern by its line here, and its file.
patterns! {
    /// Each weight, or each block where blocks are asked for.
    #[default]
    element: Element;
    /// Of every `m` weights along the axis that a product sums over, `n` are left at the target
    /// sparsity, which must be `1 - n / m`; on the way there are more.
    n_m: Nm {
        /// Weights of a group that are left, below `m`.
        n: u32,
        /// Size of a group, at most 32.
        m: u32
    };
    /// N:M shared by `v` neighbouring output units: of every `m` inputs the same `n` are left for all
    /// of them, those whose weights to these units score highest together. Of a shorter last group
    /// as large a share is left, rounded up, so that no weight is too narrow for it.
    vectors: Vectors {
        /// Inputs of a group that are left, below `m`.
        n: u32,
        /// Size of a group, at most 32.
        m: u32,
        /// Units that share them, the last ones as they come; at most 1,024.
        v: u32
    };
    /// Whole output units (columns), by the mean or maximum of their weights. The last layer, whose
    /// units are the classes, stays dense unless it has a target of its own.
    channel: Channel;
}

#[cfg(feature = "schema")]
crate::settings::text_schema! {
    Pattern = {
        "description": "element; N:M like 2:4; N:MxV like 8:32x32; or channel",
        "pattern": r"^(element|channel| *\+?\d+ *: *\+?\d+ *(x *\+?\d+ *)?)$"
    }
}

/// A pattern as it is written.
trait Written {
    /// As messages say what can be written.
    const SAID: &'static str;

    /// The pattern that `text` is, if it is of this kind.
    fn parse(text: &str) -> Option<Pattern>;
}

/// A pattern as a setting. Nothing here has a default that a new pattern could overlook.
trait Kind: fmt::Display {
    /// [`Pattern::sparsity`]
    fn sparsity(&self) -> Result<Option<f64>>;

    /// [`Pattern::groups`]
    fn groups(&self) -> Option<[u32; 2]>;

    /// [`Pattern::vectors`]
    fn vectors(&self) -> Option<[u32; 3]>;

    /// [`Pattern::pools`]
    fn pools(&self) -> bool;

    /// [`Pattern::check_files`]
    fn check_files(&self) -> Result<()>;

    /// Refuses settings that exclude it.
    fn check(&self, spec: &PruningSpec) -> Result<()>;

    /// [`Pattern::last_target`]
    fn last_target(&self) -> Option<f64>;

    /// It on a matrix, with `[height, width]` of the blocks that are asked for.
    fn on(&self, blocks: [i64; 2], matrix: Units) -> Structure;
}

impl Pattern {
    /// The sparsity that it says itself.
    ///
    /// # Errors
    /// [`Error::Argument`] for N:M out of its range.
    pub fn sparsity(self) -> Result<Option<f64>> {
        self.kind().sparsity()
    }

    /// `[n, m]` where of each `m` weights along the inputs of a unit `n` are left.
    pub fn groups(self) -> Option<[u32; 2]> {
        self.kind().groups()
    }

    /// `[n, m, v]` where of each `m` inputs the same `n` are left for `v` neighbouring units.
    pub fn vectors(self) -> Option<[u32; 3]> {
        self.kind().vectors()
    }

    /// Whether it ranks what several weights are together.
    pub(super) fn pools(self) -> bool {
        self.kind().pools()
    }

    /// Refuses what files cannot be pruned to, because they do not say enough.
    ///
    /// # Errors
    /// [`Error::Argument`]
    pub(crate) fn check_files(self) -> Result<()> {
        self.kind().check_files()
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
        self.kind().check(spec)
    }

    /// The target of the last tensor with a mask, where it has none of its own.
    pub(super) fn last_target(self) -> Option<f64> {
        self.kind().last_target()
    }

    /// The pattern on a matrix, with `[height, width]` of its blocks, which are rows and columns as
    /// it is stored.
    pub(super) fn on(self, scope: Scope, blocks: [i64; 2], matrix: Units) -> Structure {
        match scope {
            // Checked to be of single weights.
            Scope::Unit => Arc::new(Unit { rows: matrix.inputs }),
            Scope::Layer | Scope::Global => self.kind().on(blocks, matrix),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind().fmt(f)
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
pub(super) type Structure = Arc<dyn Form>;

/// What a structure's file says; as it stands here, of single weights.
pub(super) trait Form: fmt::Debug + Send + Sync {
    /// What the ranking is among.
    fn among(&self) -> Among<'_>;

    /// Rows and columns, as they are stored, of the weights that are kept or pruned as one, on a
    /// grid from the first weight.
    fn together(&self) -> [u32; 2] {
        [1, 1]
    }

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

    /// The units of what is ranked of `t`, of each of which the highest can stay, and the mask that
    /// the selection writes.
    fn select(&self, plan: &mut PlanBuilder, t: &PrunedTensor) -> (Units, Slot) {
        let _ = plan;
        (t.matrix(), t.mask())
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
    /// Weights of a group, or vectors of them.
    fn size(&self) -> u32;

    /// How many weights go of a tensor of `len`, where of each whole group `count` do.
    fn pruned(&self, count: u32, len: u64) -> u64 {
        len / u64::from(self.size()) * u64::from(count)
    }

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
