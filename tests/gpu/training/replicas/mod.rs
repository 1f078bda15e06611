//! Several ranks, as threads of this process: the same loop that MPI runs.
mod fails;
mod free;
mod in_step;

use std::path::Path;
use std::sync::Arc;
use std::thread;

use secateur::comm::{Comm, LocalComm};
use secateur::data::{BatchSource, Batches};
use secateur::optim::Training;
use secateur::prune::MaskUpdateOp;
use secateur::train::{SyncReplicas, TrainOp, TrainOptions, TrainOutcome, train};
use secateur::{Gpu, Model, Result};

use super::{MODEL, SEED, blobs};

/// What each rank trains.
pub struct Job<'a> {
    pub gpu: &'a Gpu,
    pub training: Training,
    pub mask_update_op: MaskUpdateOp,
    pub logdir: Option<&'a Path>,
}

impl<'a> Job<'a> {
    pub fn new(gpu: &'a Gpu, training: impl Into<Training>, masks: MaskUpdateOp) -> Self {
        Self { gpu, training: training.into(), mask_update_op: masks, logdir: None }
    }

    /// Trains on `ranks` ranks; `options` are those of a rank.
    pub fn on(
        &self,
        ranks: usize,
        options: impl Fn(usize) -> TrainOptions<'static> + Sync,
    ) -> Vec<Result<TrainOutcome>> {
        let batches = |_| Batches::new(blobs(), 16, Some(SEED)).unwrap();
        self.with(ranks, batches, options)
    }

    /// The same on batches of one's own.
    pub fn with<S: BatchSource + 'static>(
        &self,
        ranks: usize,
        batches: impl Fn(usize) -> S + Sync,
        options: impl Fn(usize) -> TrainOptions<'static> + Sync,
    ) -> Vec<Result<TrainOutcome>> {
        let op = |rank| {
            let (model, training) = (Model::mlp(&MODEL), self.training.clone());
            TrainOp::new(self.gpu, &model, training, batches(rank), SEED)
        };
        self.of(ranks, op, options)
    }

    /// The same of networks of one's own.
    pub fn of(
        &self,
        ranks: usize,
        op: impl Fn(usize) -> Result<TrainOp<'static>> + Sync,
        options: impl Fn(usize) -> TrainOptions<'static> + Sync,
    ) -> Vec<Result<TrainOutcome>> {
        let rank = |comm: LocalComm| {
            let (rank, comm): (usize, Arc<dyn Comm>) = (comm.rank(), Arc::new(comm));
            let op = op(rank)?;
            let options = options(rank).comm(Some(comm));
            train(op, self.logdir, self.mask_update_op.clone(), options)
        };
        thread::scope(|scope| {
            let group = LocalComm::group(ranks).into_iter();
            let ranks: Vec<_> = group.map(|comm| scope.spawn(|| rank(comm))).collect();
            ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
        })
    }
}

/// Options of ranks that make `steps` steps together, each by `gradients` gradients.
pub fn in_step(steps: u64, gradients: usize) -> TrainOptions<'static> {
    let sync = SyncReplicas::default().replicas_to_aggregate(Some(gradients));
    TrainOptions::default().number_of_steps(Some(steps)).sync_optimizer(Some(sync))
}

pub fn all(outcomes: Vec<Result<TrainOutcome>>) -> Vec<TrainOutcome> {
    outcomes.into_iter().map(|outcome| outcome.unwrap()).collect()
}
