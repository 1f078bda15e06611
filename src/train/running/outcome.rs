//! How a run ends.
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::nn::Metric;
use crate::session::Session;
use crate::train::record::event::StepEvent;

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The global step reached `number_of_steps`.
    StepLimit,
    /// The batch source has no more batches.
    EndOfData,
    /// [`TrainOptions::stop`](crate::train::TrainOptions::stop) was set, or the step function asked
    /// for it.
    Stopped,
}

/// What a run leaves behind.
#[derive(Debug)]
#[non_exhaustive]
pub struct TrainOutcome {
    /// Loss of the last step executed; `None` when the run was at its limit already.
    pub loss: Option<f32>,
    /// What the network is measured by first, in the last step.
    pub metric: Option<(Metric, f64)>,
    /// Global step reached.
    pub global_step: u64,
    /// Why it ended.
    pub end: End,
    /// The final checkpoint, with a logdir.
    pub checkpoint: Option<PathBuf>,
    /// Steps that this call went on by.
    pub steps: u64,
    /// Seconds that they took.
    pub seconds: f64,
    /// The network as trained, ready to be evaluated. After a loss it is on another device than the
    /// one given: [`Session::gpu`].
    pub session: Session,
}

/// A run that came to its end.
pub(super) struct Finished {
    pub(super) end: End,
    pub(super) session: Session,
    pub(super) global_step: u64,
    pub(super) last: Option<StepEvent>,
    pub(super) checkpoint: Option<PathBuf>,
    /// Since the first step of the call, the last checkpoint left out.
    pub(super) seconds: f64,
}
