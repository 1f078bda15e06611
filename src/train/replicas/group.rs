//! The ranks of a run, and how one that fails tells the others.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::comm::Comm;
use crate::{Error, Result};

/// The ranks of a run. All of them gather the same things in the same order, so one that fails
/// takes part in whatever the others gather next.
#[derive(Debug, Clone)]
pub(in crate::train) struct Group {
    comm: Arc<dyn Comm>,
    /// Gradients are on their way: the others wait for these, not for what is gathered.
    exchanges: Arc<AtomicBool>,
    /// The others know that this rank ends, and why.
    told: Arc<AtomicBool>,
}

/// What begins a contribution.
const GOES_ON: u8 = 0;
const FAILED: u8 = 1;

/// Exit codes of a job that a rank ends.
const FAILED_CODE: i32 = 2;
const DEVICE_LOST: i32 = 72;

/// Rank of the chief.
pub(in crate::train) const CHIEF: usize = 0;

impl Group {
    pub(in crate::train) fn new(comm: Arc<dyn Comm>) -> Self {
        Self { comm, exchanges: Arc::default(), told: Arc::default() }
    }

    pub(in crate::train) fn comm(&self) -> &Arc<dyn Comm> {
        &self.comm
    }

    pub(in crate::train) fn rank(&self) -> usize {
        self.comm.rank()
    }

    pub(in crate::train) fn size(&self) -> usize {
        self.comm.size()
    }

    pub(in crate::train) fn is_chief(&self) -> bool {
        self.rank() == CHIEF
    }

    /// What every rank gives, by rank.
    ///
    /// # Errors
    /// As [`gather`].
    pub(in crate::train) fn gather(&self, mine: &[u8]) -> Result<Vec<Vec<u8>>> {
        gather(&*self.comm, mine)
    }

    /// What the chief gives; what others give is nothing.
    ///
    /// # Errors
    /// As [`gather`](Self::gather).
    pub(in crate::train) fn of_chief(&self, mine: &[u8]) -> Result<Vec<u8>> {
        let all = self.gather(if self.is_chief() { mine } else { &[] })?;
        Ok(all.into_iter().nth(CHIEF).unwrap_or_default())
    }

    /// From here to [`leave_exchange`](Self::leave_exchange) a rank that fails ends the job.
    pub(in crate::train) fn enter_exchange(&self) {
        self.exchanges.store(true, Ordering::Relaxed);
    }

    pub(in crate::train) fn leave_exchange(&self) {
        self.exchanges.store(false, Ordering::Relaxed);
    }

    /// The others have been told of a failure of this rank by messages.
    pub(in crate::train) fn all_know(&self) {
        self.told.store(true, Ordering::Relaxed);
    }

    /// Tells the others that this rank fails: their next gathering is an error. One that has heard
    /// it from another tells nobody.
    pub(in crate::train) fn fail(&self, error: &Error) {
        if matches!(error, Error::Peer { .. }) || self.told.load(Ordering::Relaxed) {
            return;
        }
        if self.exchanges.load(Ordering::Relaxed) {
            self.comm.abort(exit_code(error), &error.to_string());
            return;
        }
        let text = [&[FAILED], error.to_string().as_bytes()].concat();
        // Nobody listens any more where this fails too.
        self.comm.all_gather_bytes(&text).ok();
    }
}

/// The exit code of a job that `error` ends.
fn exit_code(error: &Error) -> i32 {
    match error {
        Error::DeviceLost(_) => DEVICE_LOST,
        _ => FAILED_CODE,
    }
}

/// What every rank gives, by rank.
///
/// # Errors
/// [`Error::Peer`] where one has failed instead.
pub(super) fn gather(comm: &dyn Comm, mine: &[u8]) -> Result<Vec<Vec<u8>>> {
    let all = comm.all_gather_bytes(&[&[GOES_ON], mine].concat())?;
    let part = |(rank, mut bytes): (usize, Vec<u8>)| {
        if bytes.first() != Some(&GOES_ON) {
            let message = String::from_utf8_lossy(bytes.get(1..).unwrap_or_default());
            return Err(Error::Peer { rank, message: message.into_owned() });
        }
        bytes.remove(0);
        Ok(bytes)
    };
    all.into_iter().enumerate().map(part).collect()
}
