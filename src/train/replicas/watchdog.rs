//! Ends a job that takes no more steps: a rank that hangs says nothing, and the others would wait
//! for it without an end.
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::comm::Comm;
use crate::{Error, Result};

/// The exit code of a job that the watchdog ends.
pub const WATCHDOG_CODE: i32 = 71;

/// Steps of the usual length that one may take before the job is ended.
const STEPS: u32 = 20;
/// How many times the limit the first step may take: pipelines are compiled in it.
const FIRST: u32 = 10;
/// Durations that the usual one is the median of.
const KEPT: usize = 31;
/// How often it looks at the clock, at least.
const LOOK: Duration = Duration::from_secs(1);

/// A thread that ends the job ([`Comm::abort`] with [`WATCHDOG_CODE`]) where this rank takes no
/// step within the limit, or within 20 times the median of its last steps where that is longer; the
/// first step may take ten times the limit. Dropping it ends the thread.
///
/// Time in which this process was stopped as a whole does not count, nor does time in a
/// [`pause`](Self::pause).
#[derive(Debug, Default)]
pub struct Watchdog(Option<(Arc<Shared>, JoinHandle<()>)>);

#[derive(Debug)]
struct Shared {
    comm: Arc<dyn Comm>,
    limit: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Global step; `None` before the first one of this run.
    step: Option<u64>,
    doing: &'static str,
    /// Without a step.
    waited: Duration,
    /// Until when that is counted.
    seen: Instant,
    /// Of the last steps.
    took: Vec<Duration>,
    steps: usize,
    pauses: usize,
    ended: bool,
}

/// While it lives, no time passes for the watchdog; then the step in hand begins again.
#[derive(Debug)]
pub struct Pause<'a>(Option<&'a Shared>);

impl Watchdog {
    /// Watches the steps of this rank from now on; without a limit (`None` or 0), or where
    /// there is one rank alone, it does nothing.
    ///
    /// # Errors
    /// [`Error::Device`] where the system gives no thread.
    pub fn new(comm: &Arc<dyn Comm>, limit: Option<Duration>) -> Result<Self> {
        let watched = |limit: &Duration| comm.size() > 1 && !limit.is_zero();
        let Some(limit) = limit.filter(watched) else { return Ok(Self(None)) };
        let state = State {
            step: None,
            doing: "the first step",
            waited: Duration::ZERO,
            seen: Instant::now(),
            took: Vec::new(),
            steps: 0,
            pauses: 0,
            ended: false,
        };
        let comm = Arc::clone(comm);
        let shared =
            Arc::new(Shared { comm, limit, state: Mutex::new(state), changed: Condvar::new() });
        let watched = Arc::clone(&shared);
        let thread = thread::Builder::new().name("watchdog".to_owned());
        let thread = thread.spawn(move || watched.watch());
        let thread = thread.map_err(|e| Error::Device(format!("no thread for a watchdog: {e}")))?;
        Ok(Self(Some((shared, thread))))
    }

    /// Global step `step` is done.
    pub fn step(&self, step: u64) {
        let Some((shared, _)) = &self.0 else { return };
        let mut state = shared.state();
        shared.pass(&mut state);
        if state.steps == 1 {
            // The first one says nothing of the others.
            state.took.clear();
        }
        let (at, took) = (state.steps % KEPT, state.waited);
        match state.took.len() {
            KEPT => state.took[at] = took,
            _ => state.took.push(took),
        }
        state.steps += 1;
        state.step = Some(step);
        state.waited = Duration::ZERO;
    }

    /// What this rank waits for from now on, as the message ends: `gradients of other ranks`, `the
    /// device`, `the step function`.
    pub fn doing(&self, what: &'static str) {
        if let Some((shared, _)) = &self.0 {
            shared.state().doing = what;
        }
    }

    /// Stands still for what is no step: the last checkpoint, an evaluation. All ranks pause, as
    /// those wait that have nothing to do.
    pub fn pause(&self) -> Pause<'_> {
        let shared = self.0.as_ref().map(|(shared, _)| &**shared);
        if let Some(shared) = shared {
            shared.state().pauses += 1;
        }
        Pause(shared)
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        let Some(shared) = self.0 else { return };
        let mut state = shared.state();
        state.pauses -= 1;
        (state.waited, state.seen) = (Duration::ZERO, Instant::now());
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some((shared, thread)) = self.0.take() {
            shared.state().ended = true;
            shared.changed.notify_all();
            // It has no panic to tell of.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn watch(&self) {
        let mut state = self.state();
        while !state.ended {
            let waiting = self.changed.wait_timeout(state, self.look());
            (state, _) = waiting.unwrap_or_else(PoisonError::into_inner);
            self.pass(&mut state);
            let allowed = self.allowed(&state);
            if state.ended || state.waited < allowed {
                continue;
            }
            let (seconds, most) = (state.waited.as_secs_f64(), allowed.as_secs_f64());
            let after = state.step.map_or("the start".to_owned(), |n| format!("global step {n}"));
            let message = format!(
                "no step for {seconds:.1} s after {after}, {most:.1} s are allowed; waits for {}",
                state.doing
            );
            drop(state);
            log::error!("rank {}: {message}", self.comm.rank());
            self.comm.abort(WATCHDOG_CODE, &message);
            return;
        }
    }

    /// Counts the time that has passed.
    fn pass(&self, state: &mut State) {
        let now = Instant::now();
        let passed = now - state.seen;
        state.seen = now;
        if state.pauses == 0 {
            // A process that was stopped did not look for longer than it sleeps.
            state.waited += passed.min(4 * self.look());
        }
    }

    fn look(&self) -> Duration {
        (self.limit / 8).min(LOOK)
    }

    fn allowed(&self, state: &State) -> Duration {
        if state.steps == 0 {
            return self.limit.saturating_mul(FIRST);
        }
        let mut took = state.took.clone();
        took.sort_unstable();
        self.limit.max(took[took.len() / 2].saturating_mul(STEPS))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
