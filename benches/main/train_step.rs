//! Train steps of whole networks on made-up data.
use std::sync::Arc;

use secateur::bench::{TrainStep, Workload};
use secateur::data::{Answers, Dataset, Features};
use secateur::kernels::Pruned;
use secateur::{Model, Optimizer, Result};

use super::rows::Rows;

/// A row for each network and optimizer, dense and with 90 % of its weights pruned; for the MLP
/// with SGD and the CNN also in the modes whose products read masks; the MLP also over the size of
/// the batch. A wide MLP has its weights pruned one by one and in blocks.
pub fn train_step(rows: &mut Rows<'_>) -> Result<()> {
    for step in steps(rows.tiny)? {
        let reads = step.name.ends_with("sgd") && step.work.is_some();
        let modes = [Pruned::Revive, Pruned::Freeze].into_iter().filter(|_| reads);
        let pruned = [None, Some(Pruned::Zero)].into_iter().chain(modes.map(Some));
        for pruned in pruned {
            row(rows, TrainStep { pruned, ..step.clone() });
        }
    }
    let (hidden, batches) = mlp(rows.tiny);
    for &batch in batches {
        row(rows, TrainStep::mlp(hidden, batch, "adam")?);
    }
    // The same work twice, but for the terms that products leave out of blocks.
    let (hidden, batch) = wide(rows.tiny);
    let step = TrainStep::mlp(hidden, batch, "sgd")?;
    row(rows, step.clone().masked());
    for block in [[16, 16], [32, 32], [1, 32]] {
        row(rows, step.clone().masked_blocks(block));
    }
    Ok(())
}

fn row(rows: &mut Rows<'_>, step: TrainStep) {
    let id = format!("{}/{}", step.name, step.how());
    rows.workload("train step", &id, &Workload::TrainStep(step));
}

/// Its hidden layers, and the batches beside the usual one.
fn mlp(tiny: bool) -> (&'static [u32], &'static [usize]) {
    if tiny { (&[8], &[3]) } else { (&[300, 100], &[32, 64, 256, 512]) }
}

/// Hidden layers of more than a block, and a batch.
fn wide(tiny: bool) -> (&'static [u32], usize) {
    if tiny { (&[40], 3) } else { (&[1024, 1024], 128) }
}

fn steps(tiny: bool) -> Result<Vec<TrainStep>> {
    let sized = |small: u32, large: u32| if tiny { small } else { large };
    let images = |shape: &[usize], rows: usize| {
        let width: usize = shape.iter().product();
        let bytes = (0..rows * width).map(|i| (i * i % 251) as u8).collect();
        let answers = Answers::classes((0..rows).map(|i| (i % 10) as u32), 10);
        let features = Features::U8 { bytes, scale: 1.0 / 255.0 };
        Dataset::new("made-up", shape, features, answers).map(Arc::new)
    };
    let text = |length| {
        let tokens: Vec<u8> = (0..256 * length + 1).map(|i| (i * i % 61) as u8).collect();
        let alphabet: Vec<char> = (0..65u8).map(|i| char::from(b'0' + i)).collect();
        Dataset::text("made-up", &tokens, alphabet, length).map(Arc::new)
    };
    let (sgd, adam) = (Optimizer::sgd(1e-3), Optimizer::adam(1e-3));
    let lstm = Model::CharLstm { units: sized(4, 128), depth: 1 };
    let gpt = Model::CharGpt { width: sized(4, 64), blocks: 2, heads: sized(1, 4) };
    let of = |name: &str, model, data, batch, optimizer| TrainStep {
        name: name.to_owned(),
        model,
        data,
        batch: sized(4, batch) as usize,
        optimizer,
        pruned: None,
        block: [1; 2],
        work: None,
    };
    let (hidden, batch) = (mlp(tiny).0, sized(4, 128) as usize);
    Ok(vec![
        TrainStep::mlp(hidden, batch, "sgd")?,
        TrainStep::mlp(hidden, batch, "adam")?,
        TrainStep::cnn(sized(2, 64) as usize, "sgd")?,
        of("lenet5, batch 64, adam", Model::Lenet5, images(&[28, 28], 1024)?, 64, adam),
        of("cifar10, batch 32, sgd", Model::Cifar10, images(&[24, 24, 3], 256)?, 32, sgd),
        of("charlstm 128x1, 32 rows of 50, adam", lstm, text(50)?, 32, adam),
        of("chargpt 64x2x4, 16 rows of 64, adam", gpt, text(64)?, 16, adam),
    ])
}
