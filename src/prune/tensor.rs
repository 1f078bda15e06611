//! A tensor that is pruned, as a plan has it.
use crate::gpu::Slot;
use crate::{Error, Result};

/// One tensor that mask updates prune: `len` f32 weights, a matrix of `units` columns.
#[derive(Debug, Clone)]
pub struct PrunedTensor {
    /// Its name, for the plan.
    pub name: String,
    /// The weights.
    pub weights: Slot,
    /// Their last gradient, where
    /// [`PruningSpec::needs_gradients`](super::PruningSpec::needs_gradients).
    pub gradient: Option<Slot>,
    /// What the score keeps, as [`Scoring::slots`](super::Scoring::slots) has it.
    pub score_slots: Vec<Slot>,
    /// The mask to write.
    pub mask: Slot,
    /// [`crate::kernels::MaskState`]
    pub state: Slot,
    /// Two words: the sum of the squared weights that the update leaves, and that of all.
    pub energy: Slot,
    /// The optimizer's tensors of these weights.
    pub slots: Vec<Slot>,
    /// Elements.
    pub len: u32,
    /// Output units: the last extent.
    pub units: u32,
}

impl PrunedTensor {
    /// The last gradient.
    ///
    /// # Errors
    /// [`Error::Argument`] where the specification reads none.
    pub fn gradient(&self) -> Result<Slot> {
        let missing = || {
            let message = "the specification reads gradients, and this tensor has no slot for one";
            Error::argument(&self.name, message)
        };
        self.gradient.ok_or_else(missing)
    }

    /// What the score keeps, all `N` tensors of it.
    ///
    /// # Errors
    /// [`Error::Argument`] when there is another number of them.
    pub fn kept<const N: usize>(&self) -> Result<[Slot; N]> {
        self.score_slots.as_slice().try_into().map_err(|_| {
            let have = self.score_slots.len();
            let message = format!("{have} tensors for its score, which keeps {N}");
            Error::argument(&self.name, message)
        })
    }
}
