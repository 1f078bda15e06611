//! What runs after every train step.
use std::fmt;
use std::sync::Arc;

use super::spec::PruningSpec;
use super::targets::{Skipped, Targets};
use crate::graph::Graph;
use crate::kernels::Pruned;
use crate::{Error, Result};

/// A validated specification, as upstream's class of the same name.
#[derive(Debug, Clone, PartialEq)]
pub struct Pruning {
    spec: PruningSpec,
    sparsity: Option<Sparsity>,
}

impl Pruning {
    /// Checks every field of `spec`.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] names the field and its range.
    pub fn new(spec: PruningSpec) -> Result<Self> {
        spec.validate()?;
        Ok(Self { spec, sparsity: None })
    }

    /// Takes the sparsity after a global step from `sparsity`, a fraction of 1, in place of the
    /// schedule: a function of the step, or of anything outside that it reads. Which steps update
    /// the masks stays the specification's; targets of single tensors keep their proportion to
    /// `target_sparsity`.
    ///
    /// A run resumes bit for bit only if it gives the same values again.
    pub fn with_sparsity(self, sparsity: impl Fn(u64) -> f64 + Send + Sync + 'static) -> Self {
        Self { sparsity: Some(Sparsity(Arc::new(sparsity))), ..self }
    }

    /// The specification.
    pub fn spec(&self) -> &PruningSpec {
        &self.spec
    }

    /// Updates the masks after the steps at which the specification's gate opens.
    pub fn conditional_mask_update_op(&self) -> MaskUpdateOp {
        self.op(false)
    }

    /// Updates the masks after every step.
    pub fn mask_update_op(&self) -> MaskUpdateOp {
        self.op(true)
    }

    fn op(&self, every_step: bool) -> MaskUpdateOp {
        MaskUpdateOp {
            spec: Some(self.spec.clone()),
            sparsity: self.sparsity.clone(),
            every_step,
            held: false,
        }
    }
}

/// A sparsity by the global step.
#[derive(Clone)]
struct Sparsity(Arc<dyn Fn(u64) -> f64 + Send + Sync>);

impl fmt::Debug for Sparsity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sparsity")
    }
}

impl PartialEq for Sparsity {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What runs after every train step, in the same submission.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MaskUpdateOp {
    spec: Option<PruningSpec>,
    sparsity: Option<Sparsity>,
    every_step: bool,
    /// Whether the masks stay as they are.
    held: bool,
}

/// Difference of the sparsity that a run ends at from its target that is worth a word.
const SHORT: f64 = 0.005;

impl MaskUpdateOp {
    /// No masks at all: dense training.
    pub fn none() -> Self {
        Self::default()
    }

    /// Masks of `spec` that no step updates: what is pruned stays pruned, and nothing else is.
    ///
    /// # Errors
    /// As [`Pruning::new`].
    pub fn held(spec: PruningSpec) -> Result<Self> {
        // Where no update follows, there is nothing to draw weights to.
        let pruned = if spec.pruned == Pruned::Pull { Pruned::Zero } else { spec.pruned };
        let spec = spec.pruned(pruned);
        Ok(Self { held: true, ..Pruning::new(spec)?.conditional_mask_update_op() })
    }

    /// What to say of a run from global step `first` to `last`, its last mask update at
    /// `last_update`, that ends before its schedule does.
    pub(crate) fn falls_short(&self, first: u64, last: u64, last_update: u64) -> Option<String> {
        let scheduled = !self.held && !self.every_step && self.sparsity.is_none();
        let spec = self.spec.as_ref().filter(|_| scheduled && first < last)?;
        let (target, end) = (spec.target_sparsity, spec.sparsity_function_end_step);
        let reached = spec.sparsity_reached(first, last, last_update);
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        ((target - reached).abs() > SHORT).then(|| {
            format!(
                "this run ends at {} of {}, since its schedule reaches the target at step {end} \
                 (sparsity_function_end_step) and the run ends at step {last}",
                percent(reached),
                percent(target)
            )
        })
    }

    /// The specification; `None` for dense training.
    pub fn spec(&self) -> Option<&PruningSpec> {
        self.spec.as_ref()
    }

    /// The same for a network that reads batches of `batch` rows: a target in parameters or
    /// operations becomes the `target_sparsity` that meets it. Warns of weights that a pattern N:M
    /// leaves dense.
    ///
    /// # Errors
    /// As [`Targets::of`].
    pub fn resolve(mut self, graph: &Graph, batch: u32) -> Result<Self> {
        if let Some(spec) = &mut self.spec {
            let targets = Targets::of(spec, graph, batch)?;
            if !targets.skipped().is_empty() {
                let (pattern, all) = (spec.pattern, Skipped::list(targets.skipped()));
                log::warn!("{pattern} leaves dense what it does not divide: {all}");
            }
            spec.target_sparsity = targets.target();
        }
        Ok(self)
    }

    /// The sparsity to reach after global step `step`, when an update is due then.
    ///
    /// # Errors
    /// [`Error::Argument`] when the function given to [`Pruning::with_sparsity`] leaves 0 to 1.
    pub fn due(&self, step: u64, last_update: u64) -> Result<Option<f64>> {
        let Some(spec) = self.spec.as_ref().filter(|_| !self.held) else { return Ok(None) };
        if !self.every_step && !spec.is_update_due(step, last_update) {
            return Ok(None);
        }
        let Some(sparsity) = &self.sparsity else { return Ok(Some(spec.sparsity_at(step))) };
        let asked = (sparsity.0)(step);
        if (0.0..=1.0).contains(&asked) {
            return Ok(Some(asked));
        }
        let message = format!("the function gave {asked} at step {step}, it must be in 0 to 1");
        Err(Error::argument("sparsity", message))
    }

    /// Refuses a schedule that prunes nothing in the steps from `first` (exclusive) to `last`,
    /// after a last update at `last_update`.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] says why it cannot fire.
    pub fn check_fires(&self, first: u64, last: u64, last_update: u64) -> Result<()> {
        match &self.spec {
            Some(spec) if !self.held && !self.every_step && self.sparsity.is_none() => {
                spec.check_fires(first, last, last_update)
            }
            _ => Ok(()),
        }
    }
}
