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
    /// Why it cannot go on, for all to end.
    pub failure: Option<String>,
    /// Seconds that its step before took without what it waited.
    pub compute_seconds: f64,
    /// Seconds that it waited for others in the step before.
    pub waiting_seconds: f64,
}

/// A header as it travels; the words of a failure follow.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Wire {
    rows: u64,
    metric: f64,
    compute_seconds: f64,
    waiting_seconds: f64,
    loss: f32,
    wants_stop: u16,
    failed: u16,
}

impl Header {
    /// As it travels.
    pub fn to_bytes(&self) -> Vec<u8> {
        let &Self { batch, wants_stop, ref failure, compute_seconds, waiting_seconds } = self;
        let wire = Wire {
            rows: batch.rows as u64,
            metric: batch.metric,
            compute_seconds,
            waiting_seconds,
            loss: batch.loss,
            wants_stop: wants_stop.into(),
            failed: failure.is_some().into(),
        };
        let words = failure.as_deref().unwrap_or_default().as_bytes();
        [bytemuck::bytes_of(&wire), words].concat()
    }

    /// Of what has travelled; `None` where that is no header.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (wire, words) = bytes.split_at_checked(size_of::<Wire>())?;
        let wire: Wire = bytemuck::pod_read_unaligned(wire);
        let failure = (wire.failed != 0).then(|| String::from_utf8_lossy(words).into_owned());
        Some(Self {
            batch: Measured {
                rows: usize::try_from(wire.rows).ok()?,
                loss: wire.loss,
                metric: wire.metric,
            },
            wants_stop: wire.wants_stop != 0,
            failure,
            compute_seconds: wire.compute_seconds,
            waiting_seconds: wire.waiting_seconds,
        })
    }
}
