//! The chief where ranks do not go in step: takes gradients as they come, moves the weights by
//! them, and says who computes what next.
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::outcome::End;
use super::worker::Farewell;
use crate::comm::Lane;
use crate::data::{Batch, BatchSource, Cursor, Issue};
use crate::session::{Gradients, Measured, Session};
use crate::train::guard::guarded;
use crate::train::record::stats::RankStats;
use crate::train::replicas::aggregate::{Aggregate, Gradient, Offer, Update};
use crate::train::replicas::token::{Report, ToServer, ToWorker, Token, Values};
use crate::train::replicas::{BUCKET, CHIEF, Group, WATCHDOG_CODE, fold};
use crate::{Error, Result};

/// How long it waits for a message before it looks at what else there is.
const PATIENCE: Duration = Duration::from_millis(20);
/// How often ranks without work hear that the chief is there.
const BEAT: Duration = Duration::from_secs(1);

/// A message to the chief's own worker, and the batch that its token is for.
pub(super) type Own = (Vec<u8>, Batch);

/// What the chief knows of a rank.
#[derive(Debug, Clone, Copy, Default)]
struct Rank {
    state: State,
    /// Version of the masks that it has.
    masks: u64,
    /// When it was given its work.
    since: Option<Instant>,
    /// It has answered before, so its pipelines are there.
    warm: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// Not heard of yet.
    #[default]
    Away,
    /// Wants work.
    Idle,
    Busy,
    /// Its gradient waits for others, and it with that: another one on the same weights would be of
    /// no use.
    Held,
    /// Has been told to end.
    Parted,
}

/// What a turn of the server has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Served {
    /// The mean of gradients is in its place, and its update recorded.
    Update,
    /// The data has ended.
    NoData,
    /// A stop was asked for.
    Stopped,
}

/// Who has which batch, and what has come back.
#[derive(Debug)]
pub(super) struct Server {
    group: Group,
    gradients: Gradients,
    /// Values in each bucket of a gradient.
    lengths: Vec<usize>,
    aggregate: Aggregate<(Report, Values)>,
    ranks: Vec<Rank>,
    own: Sender<Own>,
    /// Waited for at the end: it keeps the engine, which ends in order only without it.
    own_thread: Option<JoinHandle<()>>,
    /// Batches that its own worker has had.
    taken: u64,
    /// The weights as they are, once somebody wants them.
    parameters: Option<Vec<f32>>,
    masks: Vec<u32>,
    /// Counts the changes of the masks.
    version: u64,
    /// Ranks besides the chief begin at this step.
    delay: u64,
    /// How long a rank may have its work.
    limit: Option<Duration>,
    pub(super) stats: RankStats,
    beat: Instant,
}

/// What a server is made of.
pub(super) struct Serving {
    pub(super) group: Group,
    /// Gradients that make an update; `None` for each by itself.
    pub(super) wanted: Option<usize>,
    pub(super) max_staleness: Option<u64>,
    pub(super) delay: u64,
    pub(super) limit: Option<Duration>,
    pub(super) own: (Sender<Own>, JoinHandle<()>),
}

impl Server {
    /// Goes on from global step `step`, with the batches at `returned` and then those from
    /// `cursor`.
    ///
    /// # Errors
    /// Of the device.
    pub(super) fn new(
        serving: Serving,
        session: &Session,
        step: u64,
        cursor: Cursor,
        returned: Vec<Cursor>,
    ) -> Result<Self> {
        let Serving { group, wanted, max_staleness, delay, limit, own } = serving;
        let (own, thread) = own;
        let gradients = Gradients::new(session, 0, BUCKET)?;
        let issue = Issue::new(cursor, returned);
        let aggregate = match wanted {
            Some(wanted) => Aggregate::in_step(step, issue, wanted)?,
            None => Aggregate::asynchronous(step, issue, max_staleness),
        };
        Ok(Self {
            lengths: gradients.lengths(),
            gradients,
            aggregate,
            ranks: vec![Rank::default(); group.size()],
            own,
            own_thread: Some(thread),
            taken: 0,
            parameters: None,
            masks: session.masks()?,
            version: 1,
            delay,
            limit,
            stats: RankStats::new(group.size()),
            beat: Instant::now(),
            group,
        })
    }

    /// Where the batches are that nobody has been given yet.
    pub(super) fn cursor(&self) -> Cursor {
        self.aggregate.issue().cursor()
    }

    /// Those before it that have not been used.
    pub(super) fn unused(&self) -> Vec<Cursor> {
        self.aggregate.issue().unused()
    }

    /// Masks have moved.
    pub(super) fn masks_moved(&mut self) {
        self.version += 1;
        self.masks.clear();
    }

    /// Takes messages until they make an update of `session`, and records that.
    ///
    /// # Errors
    /// [`Error::Peer`] for a rank that fails; [`Error::NonFinite`]; of the source and the device.
    pub(super) fn turn(
        &mut self,
        session: &mut Session,
        source: &mut dyn BatchSource,
        stop: impl Fn() -> bool,
    ) -> Result<Served> {
        loop {
            if stop() {
                return Ok(Served::Stopped);
            }
            self.give_out(session, source)?;
            self.end_if_hung()?;
            let update = match self.next_message()? {
                Some(update) => Some(update),
                None => self.aggregate.rest()?,
            };
            if let Some(update) = update {
                self.apply(session, update)?;
                return Ok(Served::Update);
            }
            if self.aggregate.issue().is_exhausted() && !self.is_busy() {
                return Ok(Served::NoData);
            }
        }
    }

    /// Ends the job where a rank does not answer: the others go on without it, and would wait for it
    /// at the end. As a watchdog, by the limit or 20 times what it took before, and ten times the
    /// limit for its first batch.
    fn end_if_hung(&self) -> Result<()> {
        let Some(limit) = self.limit else { return Ok(()) };
        for (number, rank) in self.ranks.iter().enumerate() {
            let (State::Busy, Some(since)) = (rank.state, rank.since) else { continue };
            let usual = Duration::try_from_secs_f64(20.0 * self.stats.seconds[number][0]);
            let allowed = match rank.warm {
                true => limit.max(usual.unwrap_or_default()),
                false => limit.saturating_mul(10),
            };
            let (waited, step) = (since.elapsed(), self.aggregate.step());
            if waited > allowed {
                let (seconds, most) = (waited.as_secs_f64(), allowed.as_secs_f64());
                let message = format!(
                    "no step for {seconds:.1} s of rank {number}, at global step {step}, \
                     {most:.1} s are allowed; waits for its gradient"
                );
                log::error!("rank {}: {message}", self.group.rank());
                self.group.comm().abort(WATCHDOG_CODE, &message);
                return Err(Error::Peer { rank: number, message });
            }
        }
        Ok(())
    }

    fn is_busy(&self) -> bool {
        self.ranks.iter().any(|rank| rank.state == State::Busy)
    }

    /// The next message; the update that it completes, if it does.
    fn next_message(&mut self) -> Result<Option<Update<(Report, Values)>>> {
        let Some((from, bytes)) = self.group.comm().receive(Lane::Server, PATIENCE)? else {
            self.beat_if_due()?;
            return Ok(None);
        };
        let (report, values) = match ToServer::read(from, bytes)? {
            ToServer::Hello { .. } => {
                self.ranks[from].state = State::Idle;
                return Ok(None);
            }
            ToServer::Failed { message } => {
                self.ranks[from].state = State::Idle;
                return Err(Error::Peer { rank: from, message });
            }
            ToServer::Gradient(report, values) => (report, values),
        };
        self.ranks[from].state = State::Idle;
        self.ranks[from].warm = true;
        self.stats.seconds[from] = [report.seconds, report.waited];
        let (floats, total) = (values.floats().len(), self.lengths.iter().sum::<usize>());
        if floats != total {
            let message = format!("its gradient has {floats} values, this network's {total}");
            return Err(Error::Peer { rank: from, message });
        }
        let Report { token, rows, .. } = report;
        let offer = self.aggregate.offer(Gradient { token, rows, values: (report, values) })?;
        self.stats.dropped = Some(self.aggregate.dropped());
        Ok(match offer {
            Offer::Update(update) => Some(update),
            Offer::Held => {
                self.ranks[from].state = State::Held;
                None
            }
            Offer::Dropped => None,
        })
    }

    /// Gives work to every rank that wants some.
    fn give_out(&mut self, session: &Session, source: &mut dyn BatchSource) -> Result<()> {
        for rank in 0..self.ranks.len() {
            let early = rank != CHIEF && self.aggregate.step() < self.delay;
            if self.ranks[rank].state != State::Idle || early {
                continue;
            }
            let Some(token) = self.aggregate.token(source)? else { return Ok(()) };
            let message = self.work(session, rank, token)?;
            if rank == CHIEF {
                self.taken += 1;
                let batch = read(source, token)?;
                session.takes().check_batch(source, &batch, self.taken)?;
                // A worker that has ended has said why.
                self.own.send((message, batch)).ok();
            } else {
                self.group.comm().send(rank, Lane::Worker, &message)?;
            }
            self.ranks[rank].state = State::Busy;
            self.ranks[rank].since = Some(Instant::now());
        }
        Ok(())
    }

    fn work(&mut self, session: &Session, rank: usize, token: Token) -> Result<Vec<u8>> {
        if self.parameters.is_none() {
            self.parameters = Some(session.parameters()?);
        }
        if self.masks.is_empty() {
            self.masks = session.masks()?;
        }
        let known = std::mem::replace(&mut self.ranks[rank].masks, self.version);
        let parameters = [self.parameters.as_deref().unwrap_or_default()];
        let masks = [self.masks.as_slice()];
        let masks = (known != self.version).then_some(&masks[..]);
        Ok(ToWorker::work(token, &parameters, masks))
    }

    /// Puts the mean of `update` in its place and records its update.
    fn apply(&mut self, session: &mut Session, update: Update<(Report, Values)>) -> Result<()> {
        let (mut rows, mut loss) = (0, 0.0);
        for Gradient { values: (report, _), .. } in &update.gradients {
            let Report { rows: of_batch, loss: mean, metric, .. } = *report;
            let metric = metric.unwrap_or_default();
            session.report(Measured { rows: of_batch, loss: mean, metric });
            rows += of_batch;
            loss += f64::from(mean) * of_batch as f64;
        }
        if !(loss / rows as f64).is_finite() {
            let tensor = session.first_non_finite()?;
            return Err(Error::NonFinite { step: update.step, tensor });
        }
        let mut begin = 0;
        for (bucket, &len) in self.lengths.iter().enumerate() {
            let mut mean = vec![0.0; len];
            for (share, (_, values)) in update.shares() {
                fold(&mut mean, &values.floats()[begin..begin + len], share);
            }
            session.put_bucket(&mut self.gradients, bucket, mean)?;
            begin += len;
        }
        session.record_mean(0, update.step)?;
        self.parameters = None;
        let held = self.ranks.iter_mut().filter(|rank| rank.state == State::Held);
        held.for_each(|rank| rank.state = State::Idle);
        self.stats.staleness = Some(self.aggregate.staleness().clone());
        Ok(())
    }

    /// Ranks without work hear now and then that the chief is there.
    fn beat_if_due(&mut self) -> Result<()> {
        if self.beat.elapsed() < BEAT {
            return Ok(());
        }
        self.beat = Instant::now();
        let idle = (0..self.ranks.len()).filter(|&rank| rank != CHIEF);
        for rank in idle.filter(|&rank| self.ranks[rank].state == State::Idle) {
            self.group.comm().send(rank, Lane::Worker, &ToWorker::wait())?;
        }
        Ok(())
    }

    /// Tells every rank that the run ends at `step`, as soon as it wants work; waits for those that
    /// are busy, for `patience` at most where there is one. Gradients that come are of no use any
    /// more. Says whether all have been told.
    ///
    /// # Errors
    /// [`Error::Peer`] for a rank that fails instead.
    pub(super) fn part(
        &mut self,
        step: u64,
        end: std::result::Result<End, &Error>,
        patience: Option<Duration>,
    ) -> Result<bool> {
        let farewell = Farewell::new(step, end);
        let until = patience.map(|patience| Instant::now() + patience);
        let mut failed = None;
        loop {
            for rank in 0..self.ranks.len() {
                if matches!(self.ranks[rank].state, State::Idle | State::Held) {
                    self.ranks[rank].state = State::Parted;
                    let message = ToWorker::stop(&farewell.to_text());
                    match rank {
                        CHIEF => drop(self.own.send((message, Batch::default()))),
                        _ => self.group.comm().send(rank, Lane::Worker, &message)?,
                    }
                }
            }
            let all = self.ranks.iter().all(|rank| rank.state == State::Parted);
            if let Some(thread) = self.own_thread.take_if(|_| all) {
                // A panic in it is an error that it has sent.
                thread.join().ok();
            }
            if all || until.is_some_and(|until| Instant::now() >= until) {
                return failed.map_or(Ok(all), Err);
            }
            let message = self.group.comm().receive(Lane::Server, PATIENCE)?;
            let Some((from, bytes)) = message else { continue };
            self.ranks[from].state = State::Idle;
            if let (Ok(ToServer::Failed { message }), Ok(_)) = (ToServer::read(from, bytes), end) {
                failed.get_or_insert(Error::Peer { rank: from, message });
            }
        }
    }
}

/// The rows of the chief's own batch: nobody else reads its source.
fn read(source: &mut dyn BatchSource, token: Token) -> Result<Batch> {
    let mut batch = Batch::default();
    source.seek(token.cursor)?;
    guarded("batches", || source.next_batch(&mut batch))?;
    Ok(batch)
}
