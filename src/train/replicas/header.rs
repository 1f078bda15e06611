//! What ranks tell each other before gradients travel.
use bytemuck::{Pod, Zeroable};

use crate::session::Measured;

/// What a rank says at the beginning of a round.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Header {
    /// Its batch of the round, of 0 rows where it has none.
    pub batch: Measured,
    /// Whether it has been asked to stop.
    pub wants_stop: bool,
    /// Whether the round is the last of its step.
    pub last: bool,
    /// Whether its data has ended.
    pub ended: bool,
    /// Seconds that its step before took without what it waited.
    pub compute_seconds: f64,
    /// Seconds that it waited for others in the step before.
    pub waiting_seconds: f64,
}

/// A header as it travels.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Wire {
    rows: u64,
    metric: f64,
    compute_seconds: f64,
    waiting_seconds: f64,
    loss: f32,
    wants_stop: u8,
    last: u8,
    ended: u8,
    unused: u8,
}

impl Header {
    /// As it travels.
    pub fn to_bytes(&self) -> Vec<u8> {
        let &Self { batch, wants_stop, last, ended, compute_seconds, waiting_seconds } = self;
        let wire = Wire {
            rows: batch.rows as u64,
            metric: batch.metric,
            compute_seconds,
            waiting_seconds,
            loss: batch.loss,
            wants_stop: wants_stop.into(),
            last: last.into(),
            ended: ended.into(),
            unused: 0,
        };
        bytemuck::bytes_of(&wire).to_vec()
    }

    /// Of what has travelled; `None` where that is no header.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let wire: Wire = bytemuck::try_pod_read_unaligned(bytes).ok()?;
        Some(Self {
            batch: Measured {
                rows: usize::try_from(wire.rows).ok()?,
                loss: wire.loss,
                metric: wire.metric,
            },
            wants_stop: wire.wants_stop != 0,
            last: wire.last != 0,
            ended: wire.ended != 0,
            compute_seconds: wire.compute_seconds,
            waiting_seconds: wire.waiting_seconds,
        })
    }
}
