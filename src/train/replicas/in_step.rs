//! A rank that trains in step with the others: gradients meet before each update.
use std::sync::Arc;
use std::time::Instant;

use super::BUCKET;
use super::exchange::Exchange;
use super::group::Group;
use super::header::Header;
use super::options::{Carried, SyncReplicas};
use super::watchdog::Watchdog;
use crate::session::{Gradients, Measured, Session};
use crate::train::record::stats::RankStats;
use crate::{Error, Result};

/// A rank's side of updates by the mean of all ranks' gradients.
#[derive(Debug)]
pub(in crate::train) struct InStep {
    group: Group,
    watchdog: Arc<Watchdog>,
    /// Batches of a rank in a step.
    rounds: usize,
    carried: Carried,
    /// By objective; made when a step first trains on it.
    lines: Vec<Option<Line>>,
    /// What has been recorded, and is not exchanged before it is known whether more follows.
    pending: Option<Pending>,
    step: Step,
    /// This rank has been asked to stop.
    wants_stop: bool,
    /// Of the step before, computing and waiting.
    seconds: [f64; 2],
    /// The same of every rank, as of the last step that they told of.
    pub(in crate::train) stats: RankStats,
}

/// The gradients of one loss, and the thread that exchanges them.
#[derive(Debug)]
struct Line {
    gradients: Gradients,
    buckets: usize,
    exchange: Exchange,
    /// Masks have moved since the exchange was told which weights are kept.
    stale: bool,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    objective: usize,
    /// Whether this rank had a batch.
    fed: bool,
    /// It had none because there are no more.
    ended: bool,
}

/// The step in hand.
#[derive(Debug)]
struct Step {
    begun: Instant,
    waited: f64,
    rounds: usize,
    /// Of all ranks.
    rows: usize,
    /// Sum of the losses of all rows.
    loss: f64,
    /// A rank has had no batch, or wants to stop.
    ended: bool,
    stops: bool,
}

impl Default for Step {
    fn default() -> Self {
        let begun = Instant::now();
        let (waited, rounds, rows, loss, ended, stops) = (0.0, 0, 0, 0.0, false, false);
        Self { begun, waited, rounds, rows, loss, ended, stops }
    }
}

/// What the ranks have come to in a step.
#[derive(Debug, Clone, Copy)]
pub(in crate::train) struct Met {
    /// There is a mean, to be applied.
    pub(in crate::train) moves: bool,
    /// The data of a rank has ended.
    pub(in crate::train) ended: bool,
    /// A rank was asked to stop.
    pub(in crate::train) stops: bool,
}

impl InStep {
    /// # Errors
    /// [`Error::Argument`] for a number of gradients that does not fit the ranks.
    pub(in crate::train) fn new(
        group: &Group,
        sync: &SyncReplicas,
        watchdog: &Arc<Watchdog>,
    ) -> Result<Self> {
        Ok(Self {
            group: group.clone(),
            watchdog: Arc::clone(watchdog),
            rounds: sync.aggregate(group.size())? / group.size(),
            carried: sync.carried,
            lines: Vec::new(),
            pending: None,
            step: Step::default(),
            wants_stop: false,
            seconds: [0.0; 2],
            stats: RankStats::default(),
        })
    }

    /// Batches of a rank in a step, where the step is the default one.
    pub(in crate::train) fn rounds(&self) -> usize {
        self.rounds
    }

    /// A step begins; `wants_stop` says whether this rank has been asked to end after it.
    pub(in crate::train) fn begin(&mut self, wants_stop: bool) {
        self.wants_stop = wants_stop;
        self.step = Step::default();
        self.watchdog.doing("a batch or the device");
    }

    /// Masks have moved.
    pub(in crate::train) fn masks_moved(&mut self) {
        self.lines.iter_mut().flatten().for_each(|line| line.stale = true);
    }

    /// Submits the gradient of the batch fed last, if there was one.
    ///
    /// # Errors
    /// As [`meet`](Self::meet).
    pub(in crate::train) fn gradient(
        &mut self,
        session: &mut Session,
        objective: usize,
        fed: bool,
    ) -> Result<()> {
        // Its buckets are staged where the next ones go.
        self.exchange(session, false)?;
        let first = self.step.rounds == 0;
        let line = self.line(session, objective)?;
        if fed {
            session.submit_gradients(&mut line.gradients, first)?;
        }
        self.step.rounds += 1;
        self.pending = Some(Pending { objective, fed, ended: !fed });
        Ok(())
    }

    /// Exchanges what is pending, so that the session's loss is that of all ranks so far.
    ///
    /// # Errors
    /// As [`meet`](Self::meet).
    pub(in crate::train) fn flush(&mut self, session: &mut Session) -> Result<()> {
        self.exchange(session, false)
    }

    /// Waits for the mean over the gradients of all ranks, and puts it where `objective` is updated
    /// from.
    ///
    /// # Errors
    /// [`Error::Peer`] where another rank fails; [`Error::NonFinite`] on every rank alike, where
    /// the loss of all is; of the device.
    pub(in crate::train) fn meet(
        &mut self,
        session: &mut Session,
        objective: usize,
        global_step: u64,
    ) -> Result<Met> {
        self.pending.get_or_insert(Pending { objective, fed: false, ended: false });
        self.exchange(session, true)?;
        let moves = self.step.rows > 0;
        let Some(Some(line)) = self.lines.get_mut(objective).filter(|_| moves) else {
            self.group.leave_exchange();
            return Ok(self.met(moves));
        };
        session.mark("wait for ranks");
        let waits = Instant::now();
        let mut means = Vec::with_capacity(line.buckets);
        for _ in 0..line.buckets {
            means.push(line.exchange.take()?);
        }
        self.step.waited += waits.elapsed().as_secs_f64();
        self.group.leave_exchange();
        self.watchdog.doing("the device");
        if !(self.step.loss / self.step.rows as f64).is_finite() {
            let tensor = session.first_non_finite()?;
            return Err(Error::NonFinite { step: global_step, tensor });
        }
        session.mark("upload means");
        for (bucket, mean) in means {
            session.put_bucket(&mut line.gradients, bucket, mean)?;
        }
        let seconds = self.step.begun.elapsed().as_secs_f64();
        self.seconds = [seconds - self.step.waited, self.step.waited];
        Ok(self.met(moves))
    }

    fn met(&mut self, moves: bool) -> Met {
        // A step may meet several times, for several losses.
        let Step { ended, stops, .. } = self.step;
        (self.step.rounds, self.step.rows, self.step.loss) = (0, 0, 0.0);
        Met { moves, ended, stops }
    }

    /// Hands what is pending to the thread, bucket by bucket as the device is done with them.
    fn exchange(&mut self, session: &mut Session, last: bool) -> Result<()> {
        let Some(Pending { objective, fed, ended }) = self.pending.take() else { return Ok(()) };
        let keeps = self.carried == Carried::Kept;
        let [compute_seconds, waiting_seconds] = self.seconds;
        let wants_stop = self.wants_stop;
        let line = self.line(session, objective)?;
        if keeps && std::mem::take(&mut line.stale) {
            let kept = session.kept(&line.gradients)?;
            line.exchange.keep(kept);
        }
        session.mark("wait for gradients");
        let batch = match fed {
            true => session.take_measured(&mut line.gradients)?,
            false => Measured::default(),
        };
        let header = Header { batch, wants_stop, last, ended, compute_seconds, waiting_seconds };
        self.group.enter_exchange();
        let Some(Some(line)) = self.lines.get_mut(objective) else { return Ok(()) };
        line.exchange.begin(header);
        self.watchdog.doing("gradients of other ranks");
        if batch.rows > 0 {
            for bucket in 0..line.buckets {
                let values = session.take_bucket(&mut line.gradients, bucket)?;
                line.exchange.give(bucket, values);
            }
        }
        session.mark("wait for ranks");
        let waits = Instant::now();
        let headers = line.exchange.headers()?;
        self.step.waited += waits.elapsed().as_secs_f64();
        for header in &headers {
            session.report(header.batch);
            self.step.rows += header.batch.rows;
            self.step.loss += f64::from(header.batch.loss) * header.batch.rows as f64;
            self.step.ended |= header.ended;
            self.step.stops |= header.wants_stop;
        }
        let seconds = |header: &Header| [header.compute_seconds, header.waiting_seconds];
        self.stats.seconds = headers.iter().map(seconds).collect();
        Ok(())
    }

    fn line(&mut self, session: &Session, objective: usize) -> Result<&mut Line> {
        if self.lines.len() <= objective {
            self.lines.resize_with(objective + 1, || None);
        }
        let line = match self.lines[objective].take() {
            Some(line) => line,
            None => {
                let gradients = Gradients::new(session, objective, BUCKET)?;
                let lengths = gradients.lengths();
                let buckets = lengths.len();
                let comm = self.group.comm().clone();
                let exchange = Exchange::new(comm, lengths)?;
                Line { gradients, buckets, exchange, stale: true }
            }
        };
        Ok(self.lines[objective].insert(line))
    }
}
