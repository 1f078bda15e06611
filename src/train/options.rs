//! Everything about a run that is not the model.
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::replicas::{Carried, Group, SyncReplicas};
use super::step_fn::TrainStepFn;
use crate::checkpoint::Retention;
use crate::comm::{Comm, LocalComm};
use crate::session::Session;
use crate::settings::steps;
use crate::train::record::event::Event;
use crate::train::record::scalars::When;
use crate::train::record::summary::{SummaryFn, SummaryWriter};
use crate::{Error, Result};

/// Sees the events of a run.
pub type Observer<'a> = Box<dyn FnMut(&Event) + Send + 'a>;

/// Works on the network before the first step; again when a lost device is replaced.
pub type SessionFn<'a> = Box<dyn FnMut(&mut Session) -> Result<()> + Send + 'a>;

/// Where initial values come from, besides `init_feed_dict` and `init_fn`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InitOp {
    /// Every parameter is drawn by the run's seed.
    #[default]
    Seed,
    /// Nothing is drawn: a parameter that gets no value otherwise is an error that names it.
    Off,
}

/// How ranks train together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// All of them make each update; one alone does too.
    InStep,
    /// Each goes at its own pace: the first `wanted` gradients make an update, or each by itself.
    Free { wanted: Option<usize> },
}

/// Where summaries go.
#[derive(Default)]
pub enum Summaries<'a> {
    /// TensorBoard's event files in the logdir; without a logdir nowhere.
    #[default]
    Logdir,
    /// Nowhere.
    Off,
    /// To a writer of one's own, with or without a logdir.
    Own(Box<dyn SummaryWriter + 'a>),
}

steps! {
    /// Options of [`train`](super::train), with upstream's names and defaults where upstream has
    /// them.
    pub struct TrainOptions<'a> {
        /// Absolute limit on the global step; `None` runs until the data ends.
        pub number_of_steps: Option<u64>,
        /// Replaces the default step; see [`TrainStepFn`].
        pub train_step_fn: Option<TrainStepFn<'a>>,
        /// What gives parameters their first values; only where nothing is restored.
        pub init_op: InitOp,
        /// Values of parameters by name that replace the drawn ones; only where nothing is
        /// restored.
        pub init_feed_dict: Vec<(String, Vec<f32>)>,
        /// Called after the initial values are there, for warm starts; only where nothing is
        /// restored.
        pub init_fn: Option<SessionFn<'a>>,
        /// Called at every start, restored or not.
        pub local_init_op: Option<SessionFn<'a>>,
        /// Called after it: an error says why the network is not ready. That every parameter has a
        /// value is looked at before.
        pub ready_op: Option<SessionFn<'a>>,
        /// Set to true from anywhere: the run ends after the step in hand, with a checkpoint.
        pub stop: Option<Arc<AtomicBool>>,
        /// Set to true from anywhere: a checkpoint after the step in hand, and the run goes on.
        pub save: Option<Arc<AtomicBool>>,
        /// Log line every so many steps; `None` or 0 logs nothing.
        pub log_every_n_steps: Option<u64>,
        /// Where summaries go.
        pub summary_writer: Summaries<'a>,
        /// Adds summaries of one's own whenever the run writes its own.
        pub summary_op: Option<SummaryFn<'a>>,
        /// Summaries every so many seconds, the first at once; 0 writes none by the clock.
        pub save_summaries_secs: f64,
        /// Summaries every so many steps too.
        pub save_summaries_steps: Option<u64>,
        /// Checkpoint every so many seconds; 0 saves only at the end.
        pub save_interval_secs: f64,
        /// Above 0 the first checkpoint comes after so many seconds, and the next ones each after
        /// as long again, until `save_interval_secs` is shorter: a run that is killed early loses
        /// half of its time at most. 0 waits for `save_interval_secs` from the first one on.
        pub first_save_secs: f64,
        /// Checkpoint every so many steps too.
        pub save_every_n_steps: Option<u64>,
        /// Checkpoints to keep, newest first; at least 1.
        pub max_to_keep: usize,
        /// Of the checkpoints that are not kept by their number, one of every so many hours stays.
        pub keep_every_n_hours: Option<f64>,
        /// Whether to go on from the checkpoint of a run with another seed, other rows of the same
        /// kind, another batch size or another optimizer, whose tensors begin afresh then.
        pub override_run: bool,
        /// Whether pruned weights may grow again where a run without pruning goes on from a
        /// checkpoint with masks; otherwise they stay pruned.
        pub drop_masks: bool,
        /// How often a lost device is opened afresh without a new checkpoint in between, to go on
        /// from the newest; needs a logdir.
        pub max_retries: u32,
        /// Chrome trace of the steps taken from global step 0, n, 2n, ...; needs a logdir.
        pub trace_every_n_steps: Option<u64>,
        /// Chrome trace of the one step that comes after so many of this call; needs a logdir.
        pub trace_step: Option<u64>,
        /// The ranks that train together, of which rank 0 is the chief; `None` is a run of one.
        pub comm: Option<Arc<dyn Comm>>,
        /// Ranks train in step, as this says; `None` lets several ranks train without waiting for
        /// each other.
        pub sync_optimizer: Option<SyncReplicas>,
        /// Without `sync_optimizer`, ranks besides the chief wait for this global step before their
        /// first gradient.
        pub startup_delay_steps: u64,
        /// Without `sync_optimizer`, updates that a gradient may be behind; what is further behind
        /// is dropped, and its batch given out again. `None` takes all.
        pub max_staleness: Option<u64>,
        /// With several ranks, whether those of one machine may compute on the same GPU. Software
        /// adapters are shared without that.
        pub share_adapter: bool,
        /// With several ranks, the longest time without a step before the job is ended: a rank that
        /// hangs says nothing. A job whose steps take longer than a twentieth of it is given 20
        /// steps; `None` waits for ever.
        pub watchdog: Option<Duration>,
        /// Called with each event of the run as it becomes known, a few steps after it happened.
        pub on_event: Option<Observer<'a>>,
    }
}

impl Default for TrainOptions<'_> {
    fn default() -> Self {
        Self {
            number_of_steps: None,
            train_step_fn: None,
            init_op: InitOp::default(),
            init_feed_dict: Vec::new(),
            init_fn: None,
            local_init_op: None,
            ready_op: None,
            stop: None,
            save: None,
            log_every_n_steps: Some(1),
            summary_writer: Summaries::default(),
            summary_op: None,
            save_summaries_secs: 600.0,
            save_summaries_steps: None,
            save_interval_secs: 600.0,
            first_save_secs: 0.0,
            save_every_n_steps: None,
            max_to_keep: 5,
            keep_every_n_hours: None,
            override_run: false,
            drop_masks: false,
            max_retries: 3,
            trace_every_n_steps: None,
            trace_step: None,
            comm: None,
            sync_optimizer: None,
            startup_delay_steps: 0,
            max_staleness: None,
            share_adapter: false,
            watchdog: Some(Duration::from_secs(60)),
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
            ("first_save_secs", self.first_save_secs),
        ] {
            if !(seconds.is_finite() && seconds >= 0.0) {
                return Err(Error::argument(name, format!("{seconds} must be 0 or more seconds")));
            }
        }
        if self.max_to_keep == 0 {
            return Err(Error::argument("max_to_keep", "0 must be 1 or more"));
        }
        if let Some(hours) = self.keep_every_n_hours.filter(|h| !(h.is_finite() && *h > 0.0)) {
            let message = format!("{hours} must be above 0 hours; leave it out for none");
            return Err(Error::argument("keep_every_n_hours", message));
        }
        self.validate_replicas()?;
        match logdir {
            Some(path) if path.as_os_str().is_empty() => {
                Err(Error::argument("logdir", "an empty path; leave it out to train without files"))
            }
            Some(_) => Ok(()),
            None => self.validate_without_logdir(),
        }
    }

    /// What is about several ranks.
    fn validate_replicas(&self) -> Result<()> {
        if self.watchdog.is_some_and(|limit| limit.is_zero()) {
            let message = "0 seconds must be more; leave it out to wait for ever";
            return Err(Error::argument("watchdog", message));
        }
        let free = matches!(self.way()?, Way::Free { .. });
        if free && self.train_step_fn.is_some() {
            let message = "is for ranks that train in step; give sync_optimizer as many \
                           replicas_to_aggregate as there are ranks, or leave this out";
            return Err(Error::argument("train_step_fn", message));
        }
        let Some(sync) = &self.sync_optimizer else { return Ok(()) };
        if free && sync.carried == Carried::Kept {
            let message = "kept: with backup workers all gradients travel; write carried=all";
            return Err(Error::argument("carried", message));
        }
        let given = [
            ("startup_delay_steps", self.startup_delay_steps),
            ("max_staleness", u64::from(self.max_staleness.is_some())),
        ];
        match given.into_iter().find(|&(_, value)| value > 0) {
            Some((name, _)) => {
                let message = "is for ranks that do not wait for each other; leave it out, or \
                               leave out sync_optimizer";
                Err(Error::argument(name, message))
            }
            None => Ok(()),
        }
    }

    /// How the ranks train together.
    pub(super) fn way(&self) -> Result<Way> {
        let ranks = self.comm.as_ref().map_or(1, |comm| comm.size());
        Ok(match &self.sync_optimizer {
            None if ranks > 1 => Way::Free { wanted: None },
            None => Way::InStep,
            Some(sync) => match sync.aggregate(ranks)? {
                wanted if wanted < ranks => Way::Free { wanted: Some(wanted) },
                _ => Way::InStep,
            },
        })
    }

    /// The ranks of the run, where gradients are exchanged: there are several, or one that gives
    /// several gradients an update.
    pub(super) fn group(&self) -> Option<Group> {
        match (&self.comm, &self.sync_optimizer) {
            (Some(comm), sync) if comm.size() > 1 || sync.is_some() => {
                Some(Group::new(Arc::clone(comm)))
            }
            (_, Some(_)) => Some(Group::new(Arc::new(LocalComm::default()))),
            _ => None,
        }
    }

    /// What asks for files when there are none.
    fn validate_without_logdir(&self) -> Result<()> {
        let own_writer = matches!(self.summary_writer, Summaries::Own(_));
        let needs = [
            ("trace_every_n_steps", self.trace_every_n_steps.is_some(), "a trace"),
            ("trace_step", self.trace_step.is_some(), "a trace"),
            ("save_every_n_steps", self.save_every_n_steps.is_some(), "a checkpoint"),
            ("save", self.save.is_some(), "a checkpoint"),
            ("keep_every_n_hours", self.keep_every_n_hours.is_some(), "a checkpoint"),
            ("summary_op", self.summary_op.is_some() && !own_writer, "a summary"),
        ];
        match needs.into_iter().find(|(_, given, _)| *given) {
            Some((name, _, what)) => {
                let message = format!("{what} needs a logdir to be written to; name one");
                Err(Error::argument(name, message))
            }
            None => Ok(()),
        }
    }

    pub(super) fn logs(&self, step: u64) -> bool {
        self.log_every_n_steps.is_some_and(|n| n > 0 && step.is_multiple_of(n))
    }

    pub(super) fn retention(&self) -> Retention {
        let Self { max_to_keep, keep_every_n_hours, .. } = *self;
        Retention { max_to_keep, keep_every_n_hours }
    }

    pub(super) fn summaries_when(&self) -> When {
        When { seconds: self.save_summaries_secs, steps: self.save_summaries_steps }
    }
}
