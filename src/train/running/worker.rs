//! A rank where ranks do not go in step: computes the gradient of one batch after the other, on the
//! weights that come with it.
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::outcome::{End, Finished, TrainOutcome};
use super::server::Own;
use super::supervisor::Supervisor;
use crate::comm::Lane;
use crate::data::{Batch, BatchSource};
use crate::gpu::Gpu;
use crate::kernels::Step;
use crate::nn::Network;
use crate::optim::Training;
use crate::prune::MaskUpdateOp;
use crate::session::{Gradients, Plans, Session};
use crate::train::guard::guarded;
use crate::train::record::event::Event;
use crate::train::replicas::token::{Report, ToServer, ToWorker, Token, Values};
use crate::train::replicas::{BUCKET, CHIEF, Group, Watchdog};
use crate::train::train_op::TrainOp;
use crate::{Error, Result};

/// How a run ends, as its ranks hear of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Farewell {
    pub(super) step: u64,
    /// Why, where the run does not fail.
    end: Option<End>,
    failure: String,
}

impl Farewell {
    pub(super) fn new(step: u64, end: std::result::Result<End, &Error>) -> Self {
        let failure = end.err().map(ToString::to_string).unwrap_or_default();
        Self { step, end: end.ok(), failure }
    }

    pub(super) fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What the chief said; an error where that is one.
    fn heard(text: &str) -> Result<(u64, End)> {
        let error = |message: String| Error::Peer { rank: CHIEF, message };
        let Self { step, end, failure } =
            serde_json::from_str(text).map_err(|_| error(text.to_owned()))?;
        end.map(|end| (step, end)).ok_or_else(|| error(failure))
    }
}

/// Where a worker's work comes from.
pub(super) enum Work<'w> {
    /// The chief, and a source of its own.
    Sent(&'w mut dyn BatchSource, &'w Watchdog),
    /// The chief's own main thread, with the rows.
    Own(Receiver<Own>),
}

pub(super) struct Worker<'w> {
    pub(super) group: Group,
    pub(super) session: Session,
    pub(super) work: Work<'w>,
}

impl Worker<'_> {
    /// Computes until the chief says that the run ends; gives the step and why.
    ///
    /// # Errors
    /// This rank's own, which the chief has been told of; [`Error::Peer`] with another one's.
    pub(super) fn run(mut self) -> Result<(Session, u64, End)> {
        let mut batch = Batch::default();
        let error = match self.work(&mut batch) {
            Ok((step, end)) => return Ok((self.session, step, end)),
            Err(error @ Error::Peer { .. }) => return Err(error),
            Err(error) => error,
        };
        self.group.comm().send(CHIEF, Lane::Server, &ToServer::failed(&error.to_string()))?;
        self.group.all_know();
        while !matches!(self.next(&mut batch)?, ToWorker::Stop { .. }) {}
        Err(error)
    }

    fn work(&mut self, batch: &mut Batch) -> Result<(u64, End)> {
        let comm = self.group.comm().clone();
        let mut gradients = Gradients::new(&self.session, 0, BUCKET)?;
        comm.send(CHIEF, Lane::Server, &ToServer::hello(comm.rank()))?;
        let (mut taken, mut waits) = (0, Instant::now());
        loop {
            let (token, values) = match self.next(batch)? {
                ToWorker::Stop { why } => return Farewell::heard(&why),
                ToWorker::Work(token, values) => (token, values),
                ToWorker::Wait => continue,
            };
            let waited = waits.elapsed().as_secs_f64();
            taken += 1;
            self.rows(token, taken, batch)?;
            let message = self.gradient(&mut gradients, token, &values, batch, waited)?;
            comm.send(CHIEF, Lane::Server, &message)?;
            waits = Instant::now();
        }
    }

    /// What comes next.
    fn next(&mut self, batch: &mut Batch) -> Result<ToWorker> {
        match &mut self.work {
            Work::Own(messages) => match messages.recv() {
                Ok((message, rows)) => {
                    *batch = rows;
                    ToWorker::read(CHIEF, message)
                }
                Err(_) => Err(Error::Peer { rank: CHIEF, message: "it has ended".to_owned() }),
            },
            Work::Sent(_, watchdog) => loop {
                watchdog.doing("work");
                let message = self.group.comm().receive(Lane::Worker, Duration::from_secs(1))?;
                if let Some((from, bytes)) = message {
                    let message = ToWorker::read(from, bytes)?;
                    let step = match &message {
                        ToWorker::Work(token, _) => token.step,
                        _ => 0,
                    };
                    watchdog.step(step);
                    return Ok(message);
                }
            },
        }
    }

    /// The rows of `token` in `batch`, where they have not come with it.
    fn rows(&mut self, token: Token, taken: u64, batch: &mut Batch) -> Result<()> {
        let Work::Sent(source, watchdog) = &mut self.work else { return Ok(()) };
        watchdog.doing("the next batch");
        source.seek(token.cursor)?;
        if !guarded("batches", || source.next_batch(batch))? {
            let message = "has ended on this rank, and goes on elsewhere; give every rank the \
                           same data";
            return Err(Error::argument(source.name(), message));
        }
        self.session.takes().check_batch(*source, batch, taken)
    }

    /// The gradient on `batch`, as it travels.
    fn gradient(
        &mut self,
        gradients: &mut Gradients,
        token: Token,
        values: &Values,
        batch: &Batch,
        waited: f64,
    ) -> Result<Vec<u8>> {
        let begun = Instant::now();
        if let Work::Sent(_, watchdog) = &self.work {
            watchdog.doing("the device");
        }
        let session = &mut self.session;
        session.put_parameters(&values.floats())?;
        if let Some(masks) = values.masks() {
            session.put_masks(&masks)?;
        }
        let scalars = session.scalars(token.step + 1, batch.rows);
        session.feed(batch, Step { share: 1.0, ..scalars }, 0)?;
        session.submit_gradients(gradients, true)?;
        let measured = session.take_measured(gradients)?;
        let buckets = gradients.lengths().len();
        let all: Vec<Vec<f32>> = (0..buckets)
            .map(|bucket| session.take_bucket(gradients, bucket))
            .collect::<Result<_>>()?;
        let report = Report {
            token,
            rows: measured.rows,
            loss: measured.loss,
            metric: Some(measured.metric),
            seconds: begun.elapsed().as_secs_f64(),
            waited,
        };
        let parts: Vec<&[f32]> = all.iter().map(Vec::as_slice).collect();
        let message = ToServer::gradient(&report, &parts);
        for (bucket, values) in all.into_iter().enumerate() {
            gradients.spare(bucket, values);
        }
        Ok(message)
    }
}

/// A rank that is not the chief, to its end.
///
/// # Errors
/// As [`Worker::run`].
pub(super) fn run(mut supervisor: Supervisor<'_>) -> Result<TrainOutcome> {
    let (session, state) = supervisor.session()?;
    supervisor.begin_alike(&session, state.global_step)?;
    supervisor.first_step = Some(state.global_step);
    let Some(group) = supervisor.group.clone() else {
        return Err(Error::argument("comm", "a worker needs a chief"));
    };
    group.enter_exchange();
    let (begun, memory) = (Instant::now(), session.memory());
    supervisor.tell(Event::Start { step: state.global_step, memory })?;
    let watchdog = Arc::clone(&supervisor.watchdog);
    let work = Work::Sent(&mut supervisor.train_op.batches, &watchdog);
    let worker = Worker { group: group.clone(), session, work };
    let (session, global_step, end) = worker.run()?;
    let seconds = begun.elapsed().as_secs_f64();
    // The chief saves, which may take longer than a step.
    let pause = watchdog.pause();
    group.leave_exchange();
    group.gather(&[])?;
    drop(pause);
    let (last, checkpoint) = (None, None);
    Ok(supervisor.outcome(Finished { end, session, global_step, last, checkpoint, seconds }))
}

/// The chief's own worker, in a thread beside its server.
pub(super) struct OwnWorker {
    group: Group,
    gpu: Gpu,
    network: Network,
    training: Training,
    mask_update_op: MaskUpdateOp,
    seed: u64,
}

impl OwnWorker {
    pub(super) fn new(
        train_op: &TrainOp<'_>,
        mask_update_op: &MaskUpdateOp,
        group: &Group,
    ) -> Self {
        let TrainOp { gpu, network, training, seed, .. } = train_op;
        Self {
            group: group.clone(),
            gpu: gpu.clone(),
            network: network.clone(),
            training: training.clone(),
            mask_update_op: mask_update_op.clone(),
            seed: *seed,
        }
    }

    /// Starts it; what is sent is its work.
    ///
    /// # Errors
    /// [`Error::Device`] where the system gives no thread.
    pub(super) fn start(self) -> Result<(Sender<Own>, JoinHandle<()>)> {
        let (own, messages) = channel();
        let work = move || {
            let comm = self.group.comm().clone();
            let ran = catch_unwind(AssertUnwindSafe(|| self.run(messages)));
            let ran = ran.unwrap_or_else(|panic| Err(Error::panicked("worker", &*panic)));
            if let Err(error) = ran {
                // The server may have ended before.
                comm.send(CHIEF, Lane::Server, &ToServer::failed(&error.to_string())).ok();
            }
        };
        let thread = Builder::new().name("worker".to_owned()).spawn(work);
        let thread = thread.map_err(|e| Error::Device(format!("no thread for a worker: {e}")))?;
        Ok((own, thread))
    }

    fn run(self, messages: Receiver<Own>) -> Result<()> {
        let Self { group, gpu, network, training, mask_update_op, seed } = self;
        let target = gpu.target();
        let plans = Plans::new(&network, &training, &mask_update_op, true, target)?;
        let session = Session::build(&gpu, &network, training, plans, seed)?;
        let mut worker = Worker { group, session, work: Work::Own(messages) };
        worker.work(&mut Batch::default()).map(|_| ())
    }
}
