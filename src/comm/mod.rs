//! Floor 1: processes that train together, and how they talk.
//!
//! The engine is MPI; [`LocalComm`] is the same among threads of one process.
mod host;
mod local;

use std::fmt;
use std::time::Duration;

use crate::Result;

pub use host::host_name;
pub use local::LocalComm;

/// Who takes a message. Each rank has one mailbox a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// To who gathers gradients.
    Server,
    /// To who computes them.
    Worker,
}

/// A message, and the rank that sent it.
pub type Message = (usize, Vec<u8>);

/// Ranks that train together: each is a process, or a thread of one.
///
/// Collectives are called by all ranks in the same order, each from one thread at a time; messages
/// from any thread, and beside collectives.
///
/// # Errors
/// [`Error::Peer`](crate::Error::Peer) once the group has been aborted.
pub trait Comm: Send + Sync + fmt::Debug {
    /// This one, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// This one among those on the same machine, from 0.
    fn local_rank(&self) -> usize;

    /// Gives slice `r` of `send`, cut into [`size`](Self::size) slices of equal length, to rank
    /// `r`; slice `r` of `receive` is then the one from rank `r`.
    ///
    /// # Errors
    /// As the trait says.
    fn all_to_all(&self, send: &[f32], receive: &mut [f32]) -> Result<()>;

    /// Gives `send` to every rank; slice `r` of `receive` is then what rank `r` gave, of the same
    /// length.
    ///
    /// # Errors
    /// As the trait says.
    fn all_gather(&self, send: &[f32], receive: &mut [f32]) -> Result<()>;

    /// Gives `bytes`, of any length, to every rank; what each gave, by rank.
    ///
    /// # Errors
    /// As the trait says.
    fn all_gather_bytes(&self, bytes: &[u8]) -> Result<Vec<Vec<u8>>>;

    /// Sends `message` to `lane` of rank `to`, which may be this one. Messages of one thread to one
    /// lane arrive in their order.
    ///
    /// # Errors
    /// As the trait says.
    fn send(&self, to: usize, lane: Lane, message: &[u8]) -> Result<()>;

    /// The next message to `lane` of this rank, or `None` when none comes within `patience`.
    ///
    /// # Errors
    /// As the trait says.
    fn receive(&self, lane: Lane, patience: Duration) -> Result<Option<Message>>;

    /// Ends every rank: processes with exit code `code`, threads with an error at their next call.
    fn abort(&self, code: i32, why: &str);
}
