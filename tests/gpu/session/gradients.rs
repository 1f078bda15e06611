//! Gradients that leave the device and come back: the bits of those that never left.
use std::sync::Arc;
use std::thread;

use secateur::comm::{Comm, LocalComm};
use secateur::data::{Answers, Batch, BatchSource, Batches, Dataset};
use secateur::kernels::Pruned;
use secateur::nn::layers::{BatchNorm, Conv, Flatten, Linear, Normalizer};
use secateur::nn::{Input, Network};
use secateur::optim::{Clip, Momentum, Optimizer, Training};
use secateur::prune::{MaskUpdateOp, Pruning, PruningSpec};
use secateur::session::{Gradients, StepResult};
use secateur::train::{Exchange, Header};
use secateur::{Gpu, Model, Session};

use crate::common::{Noise, gpu};
use crate::training::{SEED, blobs};

/// Bytes of a bucket: many small ones, with parameters cut.
pub(super) const SMALL: u64 = 252;

fn images() -> Arc<Dataset> {
    let features = Noise::new(4).floats(52 * 50, 1.0);
    let answers = Answers::classes((0..52_u8).map(|i| i % 3), 3);
    Arc::new(Dataset::new("images", &[5, 5, 2], features, answers).unwrap())
}

/// What is trained, on which rows.
pub(super) struct Case {
    pub(super) network: Network,
    data: Arc<Dataset>,
    pub(super) training: Training,
    pub(super) op: MaskUpdateOp,
}

impl Case {
    fn new(model: &Model, data: Arc<Dataset>, training: impl Into<Training>, spec: &str) -> Self {
        let network = model.network(16, &Input::from(&*data)).unwrap();
        let spec: PruningSpec = format!("target_sparsity=0.7,{spec}").parse().unwrap();
        let op = Pruning::new(spec).unwrap().conditional_mask_update_op();
        Self { network, data, training: training.into(), op }
    }

    pub(super) fn mlp(training: impl Into<Training>, spec: &str) -> Self {
        Self::new(&Model::mlp(&[20, 13]), blobs(), training, spec)
    }

    /// A convolution, batch normalisation in it and after it.
    pub(super) fn images(training: impl Into<Training>, spec: &str) -> Self {
        let layers = vec![
            Conv::new(6, 3).normalizer(Some(Normalizer::BatchNorm)).into(),
            BatchNorm::default().into(),
            Flatten {}.into(),
            Linear::logits().into(),
        ];
        Self::new(&Model::Layers(layers), images(), training, spec)
    }

    pub(super) fn session(&self, gpu: &Gpu) -> Session {
        Session::in_two(gpu, &self.network, &self.training, &self.op, SEED).unwrap()
    }

    /// The batches of some epochs, of which the last has 4 rows.
    pub(super) fn batches(&self, epochs: u64) -> Vec<Batch> {
        let batches = Batches::new(Arc::clone(&self.data), 16, Some(SEED)).unwrap();
        let (mut source, mut all) = (batches.epochs(Some(epochs)), Vec::new());
        loop {
            let mut batch = Batch::default();
            if !source.next_batch(&mut batch).unwrap() {
                return all;
            }
            all.push(batch);
        }
    }
}

/// Of the step, counted from 0: masks are updated after some.
fn asked(step: usize) -> Option<f64> {
    (step % 2 == 1).then_some(0.3 + 0.1 * step as f64)
}

/// One rank of several that train together.
pub(super) struct Rank {
    pub(super) session: Session,
    gradients: Gradients,
    exchange: Exchange,
    comm: LocalComm,
    keeps: bool,
}

impl Rank {
    pub(super) fn new(case: &Case, gpu: &Gpu, comm: LocalComm, bytes: u64, keeps: bool) -> Self {
        let session = case.session(gpu);
        let gradients = Gradients::new(&session, 0, bytes).unwrap();
        let exchange = Exchange::new(Arc::new(comm.clone()), gradients.lengths()).unwrap();
        Self { session, gradients, exchange, comm, keeps }
    }

    /// Trains on `batches`, of which each step takes so many and each rank some.
    pub(super) fn train(&mut self, batches: &[Batch], of_a_step: usize) -> Vec<StepResult> {
        let steps = batches.chunks(of_a_step).enumerate();
        steps.map(|(step, batches)| self.step(batches, asked(step))).collect()
    }

    fn step(&mut self, batches: &[Batch], asked: Option<f64>) -> StepResult {
        let Self { session, gradients, exchange, comm, keeps } = self;
        if *keeps {
            exchange.keep(session.kept(gradients).unwrap());
        }
        let rounds = batches.chunks(comm.size());
        let last = rounds.len() - 1;
        for (round, batches) in rounds.enumerate() {
            let mut header = Header { last: round == last, ..Header::default() };
            if let Some(batch) = batches.get(comm.rank()) {
                session.gradient(batch, gradients, round == 0).unwrap();
                header.batch = session.take_measured(gradients).unwrap();
            }
            let has_rows = header.batch.rows > 0;
            exchange.begin(header);
            for bucket in (0..gradients.lengths().len()).filter(|_| has_rows) {
                exchange.give(bucket, session.take_bucket(gradients, bucket).unwrap());
            }
            exchange.headers().unwrap().iter().for_each(|h| session.report(h.batch));
        }
        for _ in gradients.lengths() {
            let (bucket, values) = exchange.take().unwrap();
            session.put_bucket(gradients, bucket, values).unwrap();
        }
        session.update(asked).unwrap()
    }
}

/// The same on the device alone.
fn accumulated(case: &Case, gpu: &Gpu, of_a_step: usize) -> (Session, Vec<StepResult>) {
    let mut session = case.session(gpu);
    let steps = case.batches(2);
    let steps = steps.chunks(of_a_step).enumerate().map(|(step, batches)| {
        let mut before = 0;
        for batch in batches {
            before += batch.rows;
            session.accumulate(batch, batch.rows as f32 / before as f32).unwrap();
        }
        session.update(asked(step)).unwrap()
    });
    let results = steps.collect();
    (session, results)
}

/// Checksums but those of running moments.
fn moved(session: &Session) -> Vec<(String, u64)> {
    let mut all = session.checksums().unwrap();
    all.retain(|(name, _)| !name.contains(".running"));
    all
}

fn bits(results: &[StepResult]) -> Vec<(u32, u64, String)> {
    let metric = |r: &StepResult| r.metric.unwrap().1.to_bits();
    let masks = |r: &StepResult| format!("{:?}", r.mask_update);
    results.iter().map(|r| (r.loss.to_bits(), metric(r), masks(r))).collect()
}

fn trainings() -> [Training; 3] {
    let clipped = Training::from(Optimizer::adam(0.01)).clip(Clip::default().norm(Some(0.05)));
    [
        Optimizer::sgd(0.1).into(),
        Optimizer::from(Momentum::new(0.1)).into(),
        clipped.average(Some(0.9)),
    ]
}

/// In one rank, two rounds a step; in small buckets and in one.
#[test]
fn gradients_folded_on_the_host_give_the_bits_of_those_folded_on_the_device() {
    let Some(gpu) = gpu() else { return };
    for mode in ["zero", "revive", "freeze"] {
        let spec = format!("pruned={mode}");
        let cases = trainings()
            .map(|training| [Case::mlp(&training, &spec), Case::images(&training, &spec)]);
        for case in cases.iter().flatten() {
            let name = format!("{} {:?} {mode}", case.network.name, case.training);
            let (want, results) = accumulated(case, gpu, 2);
            for bytes in [SMALL, u64::MAX] {
                let mut rank = Rank::new(case, gpu, LocalComm::default(), bytes, false);
                assert_eq!(rank.gradients.lengths().len() > 4, bytes == SMALL, "{name}");
                let folded = rank.train(&case.batches(2), 2);
                assert_eq!(bits(&folded), bits(&results), "{name}");
                assert_eq!(moved(&rank.session), moved(&want), "{name} in {bytes}");
            }
        }
    }
}

/// Whatever a mask update ranks by, and whatever an optimizer keeps.
#[test]
fn two_ranks_give_the_bits_of_one_with_two_rounds() {
    let Some(gpu) = gpu() else { return };
    let momentum = Optimizer::from(Momentum::new(0.1));
    let scored = ["saliency", "movement", "wanda", "first_order_gradient"]
        .map(|score| Case::mlp(momentum, &format!("pruned=freeze,score={score}")));
    let regrown = Case::mlp(momentum, "pruned=zero,regrow=rigl,end_pruning_step=99");
    let images = trainings().map(|training| Case::images(training, "pruned=revive"));
    for case in scored.iter().chain([&regrown]).chain(&images) {
        let name = format!("{} {:?}", case.network.name, case.op.spec().unwrap().to_string());
        let one = |_| {
            let mut rank = Rank::new(case, gpu, LocalComm::default(), SMALL, false);
            let results = bits(&rank.train(&case.batches(2), 3));
            (results, rank.session.checksums().unwrap())
        };
        let want = one(0);
        let ranks = LocalComm::group(2).into_iter().map(|comm| {
            let mut rank = Rank::new(case, gpu, comm, SMALL, false);
            let batches = case.batches(2);
            thread::spawn(move || {
                // Of three batches a step the second round has one.
                let results = bits(&rank.train(&batches, 3));
                (results, rank.session.checksums().unwrap())
            })
        });
        for rank in ranks.collect::<Vec<_>>() {
            assert_eq!(rank.join().unwrap(), want, "{name}");
        }
        // What depends on the order of batches tells that they are folded in it.
        assert_eq!(one(1), want, "{name}");
    }
}

/// Gradients of pruned weights are nothing to any optimizer, in any mode.
#[test]
fn gradients_of_kept_weights_are_enough() {
    let Some(gpu) = gpu() else { return };
    for optimizer in ["sgd", "momentum", "adam", "adamw", "lion", "rmsprop", "adagrad"] {
        for mode in [Pruned::Zero, Pruned::Revive, Pruned::Freeze] {
            let mode = format!("{mode:?}").to_lowercase();
            let clip = Clip::default().norm(Some(0.3)).value(Some(0.1)).global_norm(Some(0.4));
            let training = Training::from(Optimizer::named(optimizer, 0.01).unwrap()).clip(clip);
            let case = Case::mlp(training, &format!("pruned={mode}"));
            let [all, kept] = [false, true].map(|keeps| {
                let mut rank = Rank::new(&case, gpu, LocalComm::default(), 1024, keeps);
                let results = bits(&rank.train(&case.batches(2), 1));
                (results, rank.session.checksums().unwrap())
            });
            assert_eq!(all, kept, "{optimizer} {mode}");
        }
    }
    for (spec, name) in [("score=saliency", "saliency"), ("score=movement", "movement")] {
        let case = Case::mlp(Optimizer::sgd(0.1), spec);
        let session = case.session(gpu);
        let gradients = Gradients::new(&session, 0, SMALL).unwrap();
        let error = session.kept(&gradients).unwrap_err().to_string();
        assert!(error.contains("carried") && error.contains(name), "{error}");
    }
}

/// Running moments and norms of inputs are the mean, by rows, of what each batch of the step
/// leaves of those before the step.
#[test]
fn statistics_of_a_step_are_the_mean_of_what_its_batches_leave() {
    let Some(gpu) = gpu() else { return };
    for case in [
        Case::images(Optimizer::sgd(0.0), "pruned=zero"),
        Case::mlp(Optimizer::sgd(0.0), "pruned=zero,score=wanda"),
    ] {
        let name = &case.network.name;
        let batches: Vec<Batch> = case.batches(1).split_off(1);
        let mut rank = Rank::new(&case, gpu, LocalComm::default(), SMALL, false);
        // Weights stay at a learning rate of 0.
        for _ in 0..2 {
            let before = rank.session.parameters().unwrap();
            rank.step(&batches, None);
            let mut other = case.session(gpu);
            let (mut want, mut rows) = (before.clone(), 0);
            for batch in &batches {
                other.put_parameters(&before).unwrap();
                other.accumulate(batch, 1.0).unwrap();
                other.update(None).unwrap();
                rows += batch.rows;
                let share = batch.rows as f32 / rows as f32;
                let left = other.parameters().unwrap();
                for (mean, x) in want.iter_mut().zip(left) {
                    if share == 1.0 { *mean = x } else { *mean += share * (x - *mean) }
                }
            }
            assert_ne!(want, before, "{name}");
            assert_eq!(rank.session.parameters().unwrap(), want, "{name}");
        }
    }
}
