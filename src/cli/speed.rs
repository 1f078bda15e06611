//! How fast a network answers: rows a second, and how long one batch takes alone.
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use secateur::data::Dataset;
use secateur::session::Session;
use serde::Serialize;

use super::output;

/// Batches that are timed at most, and for how long.
const MOST: usize = 100;
const TIME: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Serialize)]
pub struct Speed {
    seconds: f64,
    rows_per_second: f64,
    /// Rows in a batch.
    batch: usize,
    /// Batches that were timed alone, each from its rows to its answers on the host.
    timed_batches: usize,
    /// Milliseconds that half of these took at most, and 95 and 99 of a hundred.
    latency_ms: Latency,
}

#[derive(Debug, Clone, Serialize)]
struct Latency {
    p50: f64,
    p95: f64,
    p99: f64,
}

impl Speed {
    /// Of `rows`, all of which have taken `seconds`.
    pub fn of(session: &Session, rows: &Arc<Dataset>, batch: usize, seconds: f64) -> Result<Self> {
        let times = session.latencies(rows, MOST, TIME)?;
        let rows_per_second = rows.rows() as f64 / seconds;
        Ok(Self::new(rows_per_second, batch, seconds, &times))
    }

    fn new(rows_per_second: f64, batch: usize, seconds: f64, times: &[Duration]) -> Self {
        let mut sorted: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        sorted.sort_by(f64::total_cmp);
        let percentile = |share: f64| {
            let rank = (sorted.len() as f64 * share).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        let latency_ms =
            Latency { p50: percentile(0.50), p95: percentile(0.95), p99: percentile(0.99) };
        Self { seconds, rows_per_second, batch, timed_batches: sorted.len(), latency_ms }
    }

    /// As people read it.
    pub fn facts(&self) -> [(String, String); 2] {
        let Latency { p50, p95, p99 } = self.latency_ms;
        let (batch, timed) = (self.batch, self.timed_batches);
        let rows = output::thousands(self.rows_per_second.round() as u64);
        [
            ("speed".to_owned(), format!("{rows} rows/s, {:.2} s", self.seconds)),
            (
                "latency".to_owned(),
                format!(
                    "p50 {p50:.2}, p95 {p95:.2}, p99 {p99:.2} ms of a batch of {batch} ({timed} \
                     timed)"
                ),
            ),
        ]
    }
}
