//! The ranks of a run, and how one that fails tells the others.
use std::sync::Arc;

use crate::comm::Comm;
use crate::{Error, Result};

/// The ranks of a run. All of them gather the same things in the same order, so one that fails
/// takes part in whatever the others gather next.
#[derive(Debug, Clone)]
pub(in crate::train) struct Group {
    comm: Arc<dyn Comm>,
}

/// What begins a contribution.
const GOES_ON: u8 = 0;
const FAILED: u8 = 1;

/// Rank of the chief.
pub(in crate::train) const CHIEF: usize = 0;

impl Group {
    pub(in crate::train) fn new(comm: Arc<dyn Comm>) -> Self {
        Self { comm }
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
    pub(in crate::train) fn from_chief(&self, mine: &[u8]) -> Result<Vec<u8>> {
        let all = self.gather(if self.is_chief() { mine } else { &[] })?;
        Ok(all.into_iter().nth(CHIEF).unwrap_or_default())
    }

    /// Tells the others that this rank fails: their next gathering is an error. One that has heard
    /// it from another tells nobody.
    pub(in crate::train) fn fail(&self, error: &Error) {
        if matches!(error, Error::Peer { .. }) {
            return;
        }
        let text = [&[FAILED], error.to_string().as_bytes()].concat();
        // Nobody listens any more where this fails too.
        self.comm.all_gather_bytes(&text).ok();
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
