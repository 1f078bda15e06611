//! What happened, as values: log lines, summaries and progress bars all consume these.
use std::path::PathBuf;

use crate::gpu::Memory;
use crate::nn::Metric;
use crate::session::MaskEvent;

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
#[non_exhaustive]
pub struct StepEvent {
    /// Global step, counted from 1.
    pub step: u64,
    /// Mean loss of the batch before the update.
    pub loss: f32,
    /// What the network is measured by first, on the batch; `None` where it has no metric.
    pub metric: Option<(Metric, f64)>,
    /// Learning rate of this step, as scheduled.
    pub learning_rate: f32,
    /// Seconds since the step before was submitted, mask update included.
    pub seconds: f64,
    /// The masks, where this step updated them.
    pub masks: Option<MaskEvent>,
}

impl StepEvent {
    /// Share of right rows, or of right positions where rows have several labels; `None` where
    /// answers are no classes.
    pub fn accuracy(&self) -> Option<f64> {
        self.metric.filter(|(metric, _)| *metric == Metric::Accuracy).map(|(_, value)| value)
    }
}
