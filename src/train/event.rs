//! What happened, as values: log lines, summaries and progress bars all consume these.
use std::path::PathBuf;

use crate::gpu::Memory;

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The run is compiled and about to take its first step; again after a lost device.
    Start {
        /// Global step that it goes on from.
        step: u64,
        /// Bytes on the device.
        memory: Memory,
    },
    /// A train step, with the mask update after it.
    Step(StepEvent),
    /// The device was lost, and opened afresh; a start follows, from the newest checkpoint.
    DeviceLost {
        /// What the driver said.
        cause: String,
    },
    /// A checkpoint could not be written; training goes on.
    SaveFailed {
        /// Global step.
        step: u64,
        /// The cause.
        message: String,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// Global step.
        step: u64,
        /// Its folder.
        path: PathBuf,
        /// Seconds from its beginning to its end.
        seconds: f64,
        /// Seconds of these in which training stood still.
        stall_seconds: f64,
    },
}

/// A train step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepEvent {
    /// Global step, counted from 1.
    pub step: u64,
    /// Mean loss of the batch before the update.
    pub loss: f32,
    /// Share of right rows in the batch.
    pub accuracy: f64,
    /// Learning rate of this step, as scheduled.
    pub learning_rate: f32,
    /// Seconds since the step before was submitted, mask update included.
    pub seconds: f64,
    /// The masks, where this step updated them.
    pub masks: Option<MaskEvent>,
}

/// A mask update.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskEvent {
    /// Sparsity that the schedule asks for: of each tensor without a target of its own, or of all
    /// of them together.
    pub asked: f64,
    /// Share of all pruned tensors' weights that this comes to.
    pub asked_total: f64,
    /// Each pruned weight.
    pub tensors: Vec<MaskSparsity>,
}

impl MaskEvent {
    /// Share of clear bits over all pruned tensors.
    pub fn sparsity(&self) -> f64 {
        let pruned: f64 = self.tensors.iter().map(|t| t.sparsity * f64::from(t.len)).sum();
        pruned / self.tensors.iter().map(|t| f64::from(t.len)).sum::<f64>()
    }
}

/// The mask of one weight.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskSparsity {
    /// Name of the weight.
    pub name: String,
    /// Number of weights.
    pub len: u32,
    /// Share of clear bits, counted on the device.
    pub sparsity: f64,
    /// Share of the bits that this update changed.
    pub churn: f64,
    /// Sum of the squared weights that this update left, over that of those it found: pruned ones
    /// of earlier updates are among them as far as they have values.
    pub kept_energy: f64,
    /// Highest score pruned by this or the last update that pruned more than zeros: |w|, unless the
    /// specification ranks by something else; with `threshold=histogram` the smoothed threshold,
    /// with N:M the highest that any update so far has pruned.
    pub threshold: f32,
}
