//! A tensor that is pruned, as a plan has it.
use crate::gpu::Slot;
use crate::graph::Weight;
use crate::kernels::Units;
use crate::{Error, Result};

/// One tensor that mask updates prune: a matrix of [`units`](Self::units) output units.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PrunedTensor {
    /// The weights, and what is kept beside them.
    pub weight: Weight,
    /// Where its values are.
    values: Slot,
    /// The mask to write.
    mask: Slot,
    /// Their last gradient, where
    /// [`PruningSpec::needs_gradients`](super::PruningSpec::needs_gradients).
    pub gradient: Option<Slot>,
    /// What the score keeps, as [`Scoring::slots`](super::Scoring::slots) has it.
    pub score_slots: Vec<Slot>,
    /// [`crate::kernels::MaskState`]
    pub state: Slot,
    /// Two words: the sum of the squared weights that the update leaves, and that of all.
    pub energy: Slot,
}

impl PrunedTensor {
    /// `weight`, of which the last update's [`MaskState`](crate::kernels::MaskState) is in `state`,
    /// and the two sums of squares in `energy`. Its score keeps nothing, and there is no gradient.
    ///
    /// # Errors
    /// [`Error::Argument`] for a weight without a mask.
    pub fn new(weight: Weight, state: Slot, energy: Slot) -> Result<Self> {
        let mask = weight.stored.mask().ok_or_else(|| {
            Error::argument(&weight.name, "it is stored without a mask, and is to be pruned")
        })?;
        let values = weight.values()?;
        Ok(Self { weight, values, mask, gradient: None, score_slots: Vec::new(), state, energy })
    }

    /// Its name, for the plan.
    pub fn name(&self) -> &str {
        &self.weight.name
    }

    /// The values of the weights, one f32 each.
    pub fn weights(&self) -> Slot {
        self.values
    }

    /// The same as a mask update ranks it: where weights are drawn to their projection, by their
    /// anchors.
    #[must_use]
    pub(super) fn ranked(&self) -> Self {
        Self { values: self.weight.anchor().unwrap_or(self.values), ..self.clone() }
    }

    /// The mask to write.
    pub fn mask(&self) -> Slot {
        self.mask
    }

    /// Number of weights.
    #[expect(clippy::len_without_is_empty, reason = "a weight has elements")]
    pub fn len(&self) -> u32 {
        self.weight.len
    }

    /// Output units: the last extent, or the first of a weight that has them there.
    pub fn units(&self) -> u32 {
        self.matrix().units
    }

    /// It as a matrix by its output units.
    pub fn matrix(&self) -> Units {
        self.weight.units()
    }

    /// The last gradient.
    ///
    /// # Errors
    /// [`Error::Argument`] where the specification reads none.
    pub fn gradient(&self) -> Result<Slot> {
        let missing = || {
            let message = "the specification reads gradients, and this tensor has no slot for one";
            Error::argument(self.name(), message)
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
            Error::argument(self.name(), message)
        })
    }
}
