//! Everything about a run that is not the model.
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::event::Event;
use super::session::Session;
use crate::{Error, Result};

/// Sees the events of a run.
pub type Observer<'a> = Box<dyn FnMut(&Event) + 'a>;

/// Works on the network before the first step.
pub type SessionFn<'a> = Box<dyn FnOnce(&Session<'_>) -> Result<()> + 'a>;

/// Options of [`train`](super::train), with upstream's names and defaults where upstream has them.
pub struct TrainOptions<'a> {
    /// Absolute limit on the global step; `None` runs until the data ends.
    pub number_of_steps: Option<u64>,
    /// Values of parameters by name that replace the drawn ones; only where nothing is restored.
    pub init_feed_dict: Vec<(String, Vec<f32>)>,
    /// Called after the initial values are there, for warm starts; only where nothing is restored.
    pub init_fn: Option<SessionFn<'a>>,
    /// Called at every start, restored or not.
    pub local_init_op: Option<SessionFn<'a>>,
    /// Set to true from anywhere: the run ends after the step in hand, with a checkpoint.
    pub stop: Option<Arc<AtomicBool>>,
    /// Log line every so many steps; `None` or 0 logs nothing.
    pub log_every_n_steps: Option<u64>,
    /// TensorBoard events every so many seconds, the first at once; 0 writes none by the clock.
    pub save_summaries_secs: f64,
    /// TensorBoard events every so many steps too.
    pub save_summaries_steps: Option<u64>,
    /// Checkpoint every so many seconds; 0 saves only at the end.
    pub save_interval_secs: f64,
    /// Checkpoint every so many steps too.
    pub save_every_n_steps: Option<u64>,
    /// Checkpoints to keep, newest first; at least 1.
    pub max_to_keep: usize,
    /// Chrome trace of the steps taken from global step 0, n, 2n, ...; needs a logdir.
    pub trace_every_n_steps: Option<u64>,
    /// Called with each event of the run as it becomes known, a few steps after it happened.
    pub on_event: Option<Observer<'a>>,
}

impl Default for TrainOptions<'_> {
    fn default() -> Self {
        Self {
            number_of_steps: None,
            init_feed_dict: Vec::new(),
            init_fn: None,
            local_init_op: None,
            stop: None,
            log_every_n_steps: Some(1),
            save_summaries_secs: 600.0,
            save_summaries_steps: None,
            save_interval_secs: 600.0,
            save_every_n_steps: None,
            max_to_keep: 5,
            trace_every_n_steps: None,
            on_event: None,
        }
    }
}

impl TrainOptions<'_> {
    /// Checks every option, as [`train`](super::train) does before anything else.
    ///
    /// # Errors
    /// [`Error::Argument`] names the option, its value and the range.
    pub fn validate(&self, logdir: Option<&Path>) -> Result<()> {
        let not_zero = |name: &str, value: Option<u64>| match value {
            Some(0) => Err(Error::argument(name, "0 must be 1 or more; leave it out for none")),
            _ => Ok(()),
        };
        not_zero("number_of_steps", self.number_of_steps)?;
        not_zero("save_summaries_steps", self.save_summaries_steps)?;
        not_zero("save_every_n_steps", self.save_every_n_steps)?;
        not_zero("trace_every_n_steps", self.trace_every_n_steps)?;
        for (name, seconds) in [
            ("save_summaries_secs", self.save_summaries_secs),
            ("save_interval_secs", self.save_interval_secs),
        ] {
            if !(seconds.is_finite() && seconds >= 0.0) {
                return Err(Error::argument(name, format!("{seconds} must be 0 or more seconds")));
            }
        }
        if self.max_to_keep == 0 {
            return Err(Error::argument("max_to_keep", "0 must be 1 or more"));
        }
        match logdir {
            Some(path) if path.as_os_str().is_empty() => {
                Err(Error::argument("logdir", "an empty path; leave it out to train without files"))
            }
            None if self.trace_every_n_steps.is_some() => {
                let message = "a trace needs a logdir to be written to";
                Err(Error::argument("trace_every_n_steps", message))
            }
            _ => Ok(()),
        }
    }
}
