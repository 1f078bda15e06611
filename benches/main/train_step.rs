//! Train steps of whole networks on made-up data.
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use secateur::data::{Batch, BatchSource, Cursor, Dataset};
use secateur::{
    Batches, Gpu, MaskUpdateOp, Model, Optimizer, Pruning, PruningSpec, Result, TrainOp,
    TrainOptions, train,
};

/// A network, and rows that fit it.
struct Workload {
    name: &'static str,
    model: Model,
    data: Arc<Dataset>,
    batch: usize,
    optimizer: Optimizer,
}

/// A row for each network and optimizer, dense and with 90 % of its weights pruned.
pub fn train_step(criterion: &mut Criterion, gpu: &Gpu, tiny: bool) -> Result<()> {
    let mut group = criterion.benchmark_group("train step");
    for workload in workloads(tiny)? {
        for masked in [false, true] {
            let id = BenchmarkId::new(workload.name, if masked { "masked" } else { "dense" });
            group.bench_function(id, |b| {
                b.iter_custom(|steps| {
                    run(gpu, &workload, masked, steps).unwrap_or_else(|e| panic!("{e}"))
                });
            });
        }
    }
    group.finish();
    Ok(())
}

fn workloads(tiny: bool) -> Result<Vec<Workload>> {
    let sized = |small: u32, large: u32| if tiny { small } else { large };
    let text = |length| {
        let tokens: Vec<u8> = (0..256 * length + 1).map(|i| (i * i % 61) as u8).collect();
        let alphabet: Vec<char> = (0..65u8).map(|i| char::from(b'0' + i)).collect();
        Dataset::text("made-up", &tokens, alphabet, length).map(Arc::new)
    };
    let (sgd, adam) = (Optimizer::Sgd { lr: 1e-3, weight_decay: 0.0 }, Optimizer::adam(1e-3));
    let (mlp, digits, _) = mlp(tiny)?;
    let lstm = Model::CharLstm { units: sized(4, 128), depth: 1 };
    let gpt = Model::CharGpt { width: sized(4, 64), blocks: 2, heads: sized(1, 4) };
    let of = |name, model, data, batch, optimizer| Workload {
        name,
        model,
        data,
        batch: sized(4, batch) as usize,
        optimizer,
    };
    Ok(vec![
        of("784-300-100-10, batch 128, sgd", mlp.clone(), digits.clone(), 128, sgd),
        of("784-300-100-10, batch 128, adam", mlp, digits.clone(), 128, adam),
        of("lenet5, batch 64, adam", Model::Lenet5, digits, 64, adam),
        of("cifar10, batch 32, sgd", Model::Cifar10, rows(&[24, 24, 3], 256)?, 32, sgd),
        of("charlstm 128x1, 32 rows of 50, adam", lstm, text(50)?, 32, adam),
        of("chargpt 64x2x4, 16 rows of 64, adam", gpt, text(64)?, 16, adam),
    ])
}

/// LeNet-300-100 with rows that fit it, and the size of a batch.
pub fn mlp(tiny: bool) -> Result<(Model, Arc<Dataset>, usize)> {
    let model = Model::mlp(if tiny { &[8] } else { &[300, 100] });
    Ok((model, rows(&[28, 28], 1024)?, if tiny { 4 } else { 128 }))
}

fn rows(shape: &[usize], rows: usize) -> Result<Arc<Dataset>> {
    let width: usize = shape.iter().product();
    let features = (0..rows * width).map(|i| (i * i % 251) as u8).collect();
    let labels = (0..rows).map(|i| (i % 10) as u8).collect();
    Dataset::new("made-up", shape, 10, 1.0 / 255.0, features, labels).map(Arc::new)
}

/// Time of `steps` steps. The step before them, with compilation and the mask update, is left out.
fn run(gpu: &Gpu, workload: &Workload, masked: bool, steps: u64) -> Result<Duration> {
    let Workload { model, data, batch, optimizer, .. } = workload;
    let mask_update_op = match masked {
        false => MaskUpdateOp::none(),
        true => Pruning::new(PruningSpec {
            target_sparsity: 0.9,
            sparsity_function_end_step: 1,
            end_pruning_step: 1,
            ..Default::default()
        })?
        .conditional_mask_update_op(),
    };
    let begin = Cell::new(None);
    let batches = Batches::new(Arc::clone(data), *batch, Some(1))?;
    let batches = Timed { batches, gpu, asked: 0, begin: &begin };
    let options = TrainOptions { number_of_steps: Some(steps + 1), ..Default::default() };
    let train_op = TrainOp::new(gpu, model, *optimizer, batches, 1)?;
    let _outcome = train(train_op, None, mask_update_op, options)?;
    Ok(begin.get().map_or(Duration::ZERO, |begin: Instant| begin.elapsed()))
}

/// Batches that note when the second step begins, the first being done.
struct Timed<'a> {
    batches: Batches,
    gpu: &'a Gpu,
    asked: u64,
    begin: &'a Cell<Option<Instant>>,
}

impl BatchSource for Timed<'_> {
    fn batch_size(&self) -> usize {
        self.batches.batch_size()
    }

    fn shape(&self) -> &[usize] {
        self.batches.shape()
    }

    fn places(&self) -> usize {
        self.batches.places()
    }

    fn classes(&self) -> u32 {
        self.batches.classes()
    }

    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
        self.asked += 1;
        if self.asked == 2 {
            self.gpu.wait()?;
            self.begin.set(Some(Instant::now()));
        }
        self.batches.next_batch(batch)
    }

    fn cursor(&self) -> Cursor {
        self.batches.cursor()
    }

    fn seek(&mut self, cursor: Cursor) -> Result<()> {
        self.batches.seek(cursor)
    }
}
