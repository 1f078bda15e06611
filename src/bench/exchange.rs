//! What it costs ranks to talk: the same calls that a run of several ranks makes.
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::sampling::{Effort, Sampled, sample};
use crate::comm::{Comm, Lane};
use crate::session::Measured as Batch;
use crate::train::replicas::{BUCKET, Exchange, Header};
use crate::{Error, Result};

/// Bytes of gradients that are summed; a run in step does so once an update.
const SUMS: [usize; 3] = [1_000_000, 4_000_000, 40_000_000];
const MESSAGE: usize = 1_000_000;
/// Where no figure means anything.
const TINY: usize = 1000;
/// A message that takes longer than this is lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// Something that ranks do together, measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Talk {
    /// What it is.
    pub name: String,
    /// Median time of one repetition on the slowest rank.
    pub seconds: f64,
    /// Samples that it is the median of.
    pub samples: usize,
    /// Of one rank's values, where the time is that of their way.
    pub bytes: Option<usize>,
    /// Those in a second.
    pub bytes_per_second: Option<f64>,
}

/// What ranks are, and what talking costs them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Talks {
    /// How many there are.
    pub ranks: usize,
    /// Machines that they are on.
    pub machines: usize,
    /// What carries the messages.
    pub engine: String,
    /// In the order measured.
    pub rows: Vec<Talk>,
}

/// Measures a small collective, the sum of gradients in the order of ranks, in buckets of 4 MiB,
/// and a message from the first rank to the last and back. Every rank calls it.
///
/// # Errors
/// Those of the comm.
pub fn exchange(comm: &Arc<dyn Comm>, effort: &Effort) -> Result<Talks> {
    let locals = comm.all_gather_bytes(&(comm.local_rank() as u64).to_le_bytes())?;
    let machines = locals.iter().filter(|local| local.iter().all(|byte| *byte == 0)).count();
    let mut rows = Vec::new();
    let mut one = vec![0.0; comm.size()];
    let mut together = || comm.all_gather(&[1.0], &mut one);
    rows.push(Talk::new("collective of 4 bytes", None, measure(comm, effort, &mut together)?));
    let [sums, message] =
        if effort.tiny { [&[TINY; 1][..], &[TINY]] } else { [&SUMS[..], &[MESSAGE]] };
    for &bytes in sums {
        let mut sum = Sum::new(comm, bytes)?;
        let sampled = measure(comm, effort, &mut || sum.once())?;
        rows.push(Talk::new("sum in the order of ranks", Some(bytes), sampled));
    }
    for &bytes in message.iter().filter(|_| comm.size() > 1) {
        let values = vec![0; bytes];
        let sampled = measure(comm, effort, &mut || there_and_back(&**comm, &values))?;
        rows.push(Talk::new("message there and back", Some(bytes), sampled));
    }
    Ok(Talks { ranks: comm.size(), machines, engine: comm.engine().to_owned(), rows })
}

impl Talk {
    fn new(name: &str, bytes: Option<usize>, sampled: Sampled) -> Self {
        let Sampled { seconds, samples } = sampled;
        let name = bytes.map_or(name.to_owned(), |bytes| match bytes / 1_000_000 {
            0 => format!("{name}, {bytes} bytes"),
            millions => format!("{name}, {millions} MB"),
        });
        Self { name, seconds, samples, bytes, bytes_per_second: bytes.map(|n| n as f64 / seconds) }
    }
}

/// Samples of `work` on every rank, which all take as many: a time is that of the slowest.
fn measure(
    comm: &Arc<dyn Comm>,
    effort: &Effort,
    work: &mut dyn FnMut() -> Result<()>,
) -> Result<Sampled> {
    let slowest = |took: Duration| -> Result<Duration> {
        let all = comm.all_gather_bytes(&(took.as_nanos() as u64).to_le_bytes())?;
        let nanos =
            all.into_iter().filter_map(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        Ok(Duration::from_nanos(nanos.max().unwrap_or(0)))
    };
    let time = |repetitions| {
        comm.all_gather_bytes(&[])?;
        let start = Instant::now();
        (0..repetitions).try_for_each(|_| work())?;
        slowest(start.elapsed())
    };
    sample(time, effort)
}

/// Gradients of a rank, exchanged as a run does it.
struct Sum {
    exchange: Exchange,
    buckets: Vec<Vec<f32>>,
}

impl Sum {
    fn new(comm: &Arc<dyn Comm>, bytes: usize) -> Result<Self> {
        let (whole, values) = (BUCKET as usize / 4, bytes / 4);
        let lengths = (0..values).step_by(whole).map(|start| whole.min(values - start));
        let lengths: Vec<usize> = lengths.collect();
        let value = 1.0 + comm.rank() as f32;
        let buckets = lengths.iter().map(|length| vec![value; *length]).collect();
        Ok(Self { exchange: Exchange::new(Arc::clone(comm), lengths)?, buckets })
    }

    fn once(&mut self) -> Result<()> {
        let batch = Batch { rows: 1, loss: 0.0, metric: 0.0 };
        self.exchange.begin(Header { batch, last: true, ..Header::default() });
        for (bucket, values) in self.buckets.iter_mut().enumerate() {
            self.exchange.give(bucket, std::mem::take(values));
        }
        for _ in 0..self.buckets.len() {
            let (bucket, mean) = self.exchange.take()?;
            self.buckets[bucket] = mean;
        }
        self.exchange.headers().map(drop)
    }
}

/// The other ranks do nothing meanwhile.
fn there_and_back(comm: &dyn Comm, message: &[u8]) -> Result<()> {
    let last = comm.size() - 1;
    let take = || {
        let message = comm.receive(Lane::Worker, PATIENCE)?;
        let lost = || format!("no message within {} s", PATIENCE.as_secs());
        message.ok_or_else(|| Error::Peer { rank: comm.rank(), message: lost() })
    };
    match comm.rank() {
        0 => {
            comm.send(last, Lane::Worker, message)?;
            take().map(drop)
        }
        rank if rank == last => comm.send(0, Lane::Worker, &take()?.1),
        _ => Ok(()),
    }
}
