//! Floor 5: which weights to prune, how many, and when.
mod mask_update;
mod parse;
mod report;
mod schedule;
mod spec;

pub use mask_update::{PrunedTensor, push_mask_update};
pub use report::{LayerSparsity, total_sparsity};
pub use schedule::pruned_count;
pub use spec::{BlockPooling, PruningSpec, Threshold};

use crate::Result;

/// A validated specification, as upstream's class of the same name.
#[derive(Debug, Clone, PartialEq)]
pub struct Pruning {
    spec: PruningSpec,
}

impl Pruning {
    /// Checks every field of `spec`.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] names the field and its range.
    pub fn new(spec: PruningSpec) -> Result<Self> {
        spec.validate()?;
        Ok(Self { spec })
    }

    /// The specification.
    pub fn spec(&self) -> &PruningSpec {
        &self.spec
    }

    /// Updates the masks after the steps at which the specification's gate opens.
    pub fn conditional_mask_update_op(&self) -> MaskUpdateOp {
        MaskUpdateOp { spec: Some(self.spec.clone()), every_step: false }
    }

    /// Updates the masks after every step.
    pub fn mask_update_op(&self) -> MaskUpdateOp {
        MaskUpdateOp { spec: Some(self.spec.clone()), every_step: true }
    }
}

/// What runs after every train step, in the same submission.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MaskUpdateOp {
    spec: Option<PruningSpec>,
    every_step: bool,
}

impl MaskUpdateOp {
    /// No masks at all: dense training.
    pub fn none() -> Self {
        Self::default()
    }

    /// The specification; `None` for dense training.
    pub fn spec(&self) -> Option<&PruningSpec> {
        self.spec.as_ref()
    }

    /// The sparsity to reach after global step `step`, when an update is due then.
    pub fn due(&self, step: u64, last_update: u64) -> Option<f64> {
        let spec = self.spec.as_ref()?;
        let due = self.every_step || spec.is_update_due(step, last_update);
        due.then(|| spec.sparsity_at(step))
    }

    /// Whether the weight `name` is pruned.
    pub fn prunes(&self, name: &str) -> bool {
        self.spec.as_ref().is_some_and(|s| !s.excludes(name))
    }

    /// Refuses a schedule that prunes nothing in the steps from `first` (exclusive) to `last`,
    /// after a last update at `last_update`.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] says why it cannot fire.
    pub fn check_fires(&self, first: u64, last: u64, last_update: u64) -> Result<()> {
        match &self.spec {
            Some(spec) if !self.every_step => spec.check_fires(first, last, last_update),
            _ => Ok(()),
        }
    }
}
