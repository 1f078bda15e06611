//! Floor 1: processes that train together, and how they talk.
//!
//! The engine is MPI (`MpiComm`, with the feature `mpi`); [`LocalComm`] is the same among threads
//! of one process. [`connect`] finds the ranks that a launcher has started.
mod host;
mod launch;
mod local;
#[cfg(feature = "mpi")]
mod mpi;

use std::fmt;
use std::thread;
use std::time::Duration;

use crate::{Error, Result};

pub use host::host_name;
pub use launch::{Launch, connect};
pub use local::LocalComm;
#[cfg(feature = "mpi")]
pub use mpi::MpiComm;

/// The exit code of a job in which a rank panicked.
pub const EXIT_PANIC: i32 = 70;

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
/// [`Error::Peer`] once the group has been aborted; [`Error::Shape`] and [`Error::Argument`] for
/// lengths and ranks that do not fit.
pub trait Comm: Send + Sync + fmt::Debug {
    /// This one, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn size(&self) -> usize;

    /// This one among those on the same machine, from 0.
    fn local_rank(&self) -> usize;

    /// What carries the messages, with its version.
    fn engine(&self) -> &str;

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
    /// lane arrive in their order. May wait until `to` receives it.
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

/// Ends the job with [`EXIT_PANIC`] when a panic drops it; the other ranks would wait for ever.
///
/// Each thread that uses a [`Comm`] holds one, on the panic's way out.
#[derive(Debug)]
pub struct EndsOnPanic<'a>(pub &'a dyn Comm);

impl Drop for EndsOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.abort(EXIT_PANIC, "it panicked");
        }
    }
}

/// How many values each rank gives to each.
fn check_all_to_all(send: &[f32], receive: &[f32], size: usize) -> Result<usize> {
    let (sent, received) = (send.len(), receive.len());
    if sent == received && sent.is_multiple_of(size) {
        return Ok(sent / size);
    }
    let message = format!(
        "{sent} values to send, room for {received}; both must be the same multiple of {size} ranks"
    );
    Err(Error::shape("all_to_all", message))
}

/// How many values each rank gives.
fn check_all_gather(send: &[f32], receive: &[f32], size: usize) -> Result<usize> {
    let (sent, received) = (send.len(), receive.len());
    if received == sent * size {
        return Ok(sent);
    }
    let message =
        format!("{sent} values of each of {size} ranks make {}, room for {received}", sent * size);
    Err(Error::shape("all_gather", message))
}

fn check_rank(to: usize, size: usize) -> Result<()> {
    crate::error::check("to", to, to < size, &format!("a rank below {size}"))
}
