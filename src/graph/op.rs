//! What an operation is: one struct and one `impl` beside the method of [`Graph`](super::Graph)
//! that makes it, and its name in the list of `graph/mod.rs`.
use super::autodiff::Backward;
use super::lower::Lowering;
use super::packs::PackedUse;
use super::tied::{Crossing, Reach};
use super::{Graph, Node, Op, Tensor};
use crate::Result;

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

/// What the passes over a graph must know of an operation. None of it has a default: a wrong guess
/// would overwrite what is still read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// Name for errors.
    pub(super) name: &'static str,
    /// Where its output is.
    pub(super) home: Home,
    /// The operation that computes this one's output again for the backward pass, without what must
    /// happen once a step; `None` where the first output is kept.
    pub(super) recomputed: Option<Op>,
}

/// An operation of a graph.
pub(super) trait Operation {
    /// What the passes over a graph must know of it.
    fn facts(&self) -> Facts;

    /// Appends the launches that compute the node `tensor`.
    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()>;

    /// Sends the `gradient` of the node `tensor` on to its inputs; an error where there is no rule.
    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        let _ = gradient;
        Err(backward.lacks(tensor, "has no gradient rule"))
    }

    /// Whether it is the losses of rows, whose launch also leaves the gradient of their sum by its
    /// first input.
    fn is_loss(&self) -> bool {
        false
    }

    /// Where units that are in one tensor of its node are in the others. Where nothing is said none
    /// can be taken out that comes to it.
    fn units(&self, of: &Crossing<'_>) -> Reach {
        let _ = of;
        Reach::Fixed
    }

    /// How often `node`, of this operation, multiplies with each element of its input at `place`
    /// for one row of a batch of `rows`; 0 where that input is no weight to it.
    fn multiplies(&self, node: &Node, place: usize, rows: u32) -> u64 {
        let _ = (node, place, rows);
        0
    }

    /// How `node`, of this operation, multiplies with its input at `place` where that is packed; or
    /// why it cannot be.
    fn packs(
        &self,
        graph: &Graph,
        node: &Node,
        place: usize,
    ) -> std::result::Result<PackedUse, String> {
        let _ = (graph, node, place);
        Err(format!("{} reads all of it", self.facts().name))
    }
}

impl Op {
    /// Name for errors.
    pub fn name(self) -> &'static str {
        self.operation().facts().name
    }

    pub(super) fn home(self) -> Home {
        self.operation().facts().home
    }

    pub(super) fn recomputed(self) -> Option<Self> {
        self.operation().facts().recomputed
    }
}

/// Declares the files as modules, [`Op`] with a variant for each struct in them, and the module
/// `ops` of these structs.
macro_rules! ops {
    ($($file:ident: $($name:ident),+;)+) => {
        $(mod $file;)+

        /// The operations, each with what it is made with and the inputs that its node has.
        pub mod ops {
            $(pub use super::$file::{$($name),+};)+
        }

        /// An operation of a graph. Most become one launch, named as its kernel.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub enum Op {
            $($(
                #[doc = concat!("[`ops::", stringify!($name), "`]")]
                $name(ops::$name),
            )+)+
        }

        $($(
            impl From<ops::$name> for Op {
                fn from(op: ops::$name) -> Self {
                    Self::$name(op)
                }
            }
        )+)+

        impl Op {
            fn operation(&self) -> &dyn op::Operation {
                match self {
                    $($(Self::$name(op) => op,)+)+
                }
            }
        }
    };
}
pub(super) use ops;
