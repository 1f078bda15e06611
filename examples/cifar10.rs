//! Upstream's CIFAR-10 example: its network, its augmentation in a thread ahead of the steps,
//! averages in evaluation.
//!
//! `cargo run --release --example cifar10 -- PATH` with the folder or a file of CIFAR-10's binary
//! records; without one, on coloured stripes made here. `--quick` takes a few steps only.
use std::path::Path;
use std::sync::Arc;

use secateur::data::{Answers, Augment, Dataset, Features, Images, Prefetch, Split, cifar10};
use secateur::optim::{Decay, Schedule, Training};
use secateur::prune::LayerSparsity;
use secateur::{
    Batches, Gpu, GpuOptions, Model, Optimizer, Pruning, Result, TrainOp, TrainOptions, train,
};

fn main() -> Result<()> {
    let (quick, paths): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|a| a == "--quick");
    let data = match paths.first() {
        Some(path) => cifar10(Path::new(path))?,
        None => Split { train: stripes(400, 0)?, test: stripes(40, 400)? },
    };
    let (steps, batch) = if quick.is_empty() { (1000, 64) } else { (12, 8) };
    let gpu = Gpu::open(&GpuOptions::from_env()?)?;
    let batches = Batches::new(Arc::clone(&data.train), batch, Some(1))?.augment(true);
    let decay = Decay::Exponential { decay_steps: steps * 3 / 4, rate: 0.1, staircase: true };
    let training = Training::from(Optimizer::sgd(0.05))
        .schedule(Schedule::default().decay(decay))
        .average(Some(0.99));
    let train_op = TrainOp::new(&gpu, &Model::Cifar10, training, Prefetch::new(batches), 1)?;
    let spec = format!(
        "target_sparsity=0.8,pruning_frequency={},sparsity_function_end_step={}",
        (steps / 40).max(1),
        steps / 2
    );
    let pruning = Pruning::new(spec.parse()?)?;
    let options = TrainOptions::default().number_of_steps(Some(steps));
    let outcome = train(train_op, None, pruning.conditional_mask_update_op(), options)?;
    let evaluation = outcome.session.evaluate(&data.test)?;
    println!(
        "{steps} steps: test accuracy {:.4}, loss {:.4}",
        evaluation.accuracy().unwrap_or(0.0),
        evaluation.loss
    );
    let layers = outcome.session.layers()?;
    let total: u64 = layers.iter().map(LayerSparsity::total).sum();
    let left: u64 = layers.iter().map(|layer| layer.nonzero).sum();
    println!("{left} of {total} weights left");
    assert_eq!(total, 1_067_584, "upstream's count");
    assert!((1.0 - left as f64 / total as f64 - 0.8).abs() < 1e-3);
    Ok(())
}

/// Images whose class is the distance of their stripes and the colour between them.
fn stripes(rows: usize, first: usize) -> Result<Arc<Dataset>> {
    let pixel = |i: usize, at: usize| {
        let (class, x, channel) = (i % 10, at / 3 % 32, at % 3);
        let noise = (i * 3072 + at).wrapping_mul(0x9e37_79b9) >> 16 & 31;
        let bright = x / (1 + class / 3) % 2 == 0 || channel == class % 3;
        (if bright { 200 } else { 30 } + noise) as u8
    };
    let all = first..first + rows;
    let bytes = all.clone().flat_map(|i| (0..3072).map(move |at| pixel(i, at))).collect();
    let answers = Answers::classes(all.map(|i| (i % 10) as u32), 10);
    let features = Features::U8 { bytes, scale: 1.0 };
    let data = Dataset::new("stripes", &[32, 32, 3], features, answers)?;
    let augment = Augment { flip: true, brightness: 63.0, contrast: [0.2, 1.8] };
    let images = Images { crop: [24, 24], standardise: true, augment: Some(augment) };
    data.with_images(images).map(Arc::new)
}
