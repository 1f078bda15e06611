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
    #[serde(flatten)]
    latencies: Option<Latencies>,
}

/// What batches took that were timed alone, each from its rows to its answers on the host.
#[derive(Debug, Clone, Serialize)]
pub struct Latencies {
    /// Rows in a batch.
    batch: usize,
    timed_batches: usize,
    /// Milliseconds that half of these took at most, and 95 and 99 of a hundred.
    latency_ms: Percentiles,
}

#[derive(Debug, Clone, Serialize)]
struct Percentiles {
    p50: f64,
    p95: f64,
    p99: f64,
}

impl Speed {
    /// Of `rows`, all of which have taken `seconds`.
    pub fn of(session: &Session, rows: &Arc<Dataset>, batch: usize, seconds: f64) -> Result<Self> {
        let times = session.latencies(rows, MOST, TIME)?;
        Ok(Self::new(rows.rows(), seconds, Some(Latencies::new(batch, &times))))
    }

    pub fn new(rows: usize, seconds: f64, latencies: Option<Latencies>) -> Self {
        Self { seconds, rows_per_second: rows as f64 / seconds, latencies }
    }

    /// As people read it.
    pub fn facts(&self) -> Vec<(String, String)> {
        let rows = output::thousands(self.rows_per_second.round() as u64);
        let speed = ("speed".to_owned(), format!("{rows} rows/s, {:.2} s", self.seconds));
        [speed].into_iter().chain(self.latencies.as_ref().map(Latencies::fact)).collect()
    }
}

impl Latencies {
    pub fn new(batch: usize, times: &[Duration]) -> Self {
        let mut sorted: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        sorted.sort_by(f64::total_cmp);
        let percentile = |share: f64| {
            let rank = (sorted.len() as f64 * share).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        let latency_ms =
            Percentiles { p50: percentile(0.50), p95: percentile(0.95), p99: percentile(0.99) };
        Self { batch, timed_batches: sorted.len(), latency_ms }
    }

    /// As people read it.
    pub fn fact(&self) -> (String, String) {
        let Percentiles { p50, p95, p99 } = self.latency_ms;
        let (batch, timed) = (self.batch, self.timed_batches);
        let of = format!("of a batch of {batch} ({timed} timed)");
        ("latency".to_owned(), format!("p50 {p50:.2}, p95 {p95:.2}, p99 {p99:.2} ms {of}"))
    }
}
