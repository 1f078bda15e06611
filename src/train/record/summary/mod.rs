//! Where a run writes its summaries: the trait, and TensorBoard's event files.
mod event_writer;
mod hparams;
mod proto;

use std::path::Path;

pub use event_writer::EventWriter;

use super::histogram::Histogram;
use crate::Result;
use crate::session::Session;

/// Takes what a run summarises; implement it to send summaries elsewhere than to [`EventWriter`].
///
/// A run calls [`start`](Self::start) before anything else. A failure of any call is the
/// writer's to report and the caller's to judge; the writer must take further calls after it.
pub trait SummaryWriter: Send {
    /// The run takes its next step as `step`. Values that are already there from that step on are
    /// of a history that is replaced: a run was resumed, or recovered from a lost device.
    ///
    /// # Errors
    /// Where it cannot be written; so for every method.
    fn start(&mut self, step: u64) -> Result<()>;

    /// Names what the run was made with. Called once, between `start` and the first step.
    ///
    /// # Errors
    /// As `start`.
    fn hparams(&mut self, _hparams: &[(&str, Hparam)]) -> Result<()> {
        Ok(())
    }

    /// Adds `value` to the curve `tag`; it may be NaN or infinite.
    ///
    /// # Errors
    /// As `start`.
    fn scalar(&mut self, tag: &str, step: u64, value: f32) -> Result<()>;

    /// Adds the distribution `histogram` under `tag`.
    ///
    /// # Errors
    /// As `start`.
    fn histogram(&mut self, tag: &str, step: u64, histogram: &Histogram) -> Result<()>;

    /// The checkpoint of `step` is complete in the folder `path`.
    ///
    /// # Errors
    /// As `start`.
    fn checkpoint(&mut self, _step: u64, _path: &Path) -> Result<()> {
        Ok(())
    }

    /// Makes visible to readers what was written so far.
    ///
    /// # Errors
    /// As `start`.
    fn flush(&mut self) -> Result<()>;

    /// The run ended well after `step`; includes `flush`. A run that fails never calls it.
    ///
    /// # Errors
    /// As `start`.
    fn close(&mut self, step: u64) -> Result<()>;
}

/// Value of a hyperparameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Hparam {
    /// A finite number.
    Number(f64),
    /// A name or any other text.
    Text(String),
    /// A switch.
    Bool(bool),
}

/// Adds summaries of one's own for a step; the session may be a few steps ahead of it.
pub type SummaryFn<'a> =
    Box<dyn FnMut(&Session, u64, &mut dyn SummaryWriter) -> Result<()> + Send + 'a>;
