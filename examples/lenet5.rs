//! LeNet-5 pruned to 90 % while it learns.
//!
//! `cargo run --release --example lenet5 -- DIR` with the four idx files of MNIST in `DIR`; without
//! one, on the embedded digits, enlarged to 28x28. `--quick` takes a few steps only.
use std::path::Path;
use std::sync::Arc;

use secateur::data::{Answers, Dataset, Features, Split, idx_folder};
use secateur::{
    Batches, Gpu, GpuOptions, Model, Optimizer, Pruning, Result, TrainOp, TrainOptions, digits,
    train,
};

fn main() -> Result<()> {
    let (quick, folders): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|a| a == "--quick");
    let data = match folders.first() {
        Some(folder) => idx_folder(Path::new(folder), "mnist")?,
        None => Split { train: enlarged(&digits().train)?, test: enlarged(&digits().test)? },
    };
    let steps = if quick.is_empty() { 600 } else { 30 };
    let gpu = Gpu::open(&GpuOptions::from_env()?)?;
    let batches = Batches::new(Arc::clone(&data.train), 32, Some(1))?.drop_last(true)?;
    let train_op = TrainOp::new(&gpu, &Model::Lenet5, Optimizer::adam(0.001), batches, 1)?;
    let spec = format!(
        "target_sparsity=0.9,pruning_frequency={},sparsity_function_end_step={}",
        steps / 15,
        steps * 2 / 3
    );
    let pruning = Pruning::new(spec.parse()?)?;
    let options = TrainOptions::default().number_of_steps(Some(steps));
    let outcome = train(train_op, None, pruning.conditional_mask_update_op(), options)?;
    let evaluation = outcome.session.evaluate(&data.test)?;
    println!("{steps} steps: test accuracy {:.4}", evaluation.accuracy().unwrap_or(0.0));
    for layer in outcome.session.layers()? {
        println!("{} {:?}: {} of {} left", layer.name, layer.shape, layer.nonzero, layer.total());
        assert!((layer.sparsity - 0.9).abs() < 1e-3, "{}", layer.name);
    }
    assert!(
        evaluation.accuracy().unwrap_or(0.0) > 0.3,
        "{steps} steps should have taught it something"
    );
    Ok(())
}

/// Images of 8x8 as images of 28x28: each pixel three times three, and a border of two.
fn enlarged(data: &Dataset) -> Result<Arc<Dataset>> {
    let (mut bytes, mut labels) = (Vec::new(), Vec::new());
    let mut row = vec![0.0; data.width()];
    for i in 0..data.rows() {
        data.write_row(i, &mut row);
        let inside = |at: usize| (2..26).contains(&at).then(|| (at - 2) / 3);
        let pixel = |(y, x): (usize, usize)| match (inside(y), inside(x)) {
            (Some(y), Some(x)) => (row[y * 8 + x] * 255.0) as u8,
            _ => 0,
        };
        bytes.extend((0..28).flat_map(|y| (0..28).map(move |x| (y, x))).map(pixel));
        labels.push(data.label(i));
    }
    let features = Features::U8 { bytes, scale: 1.0 / 255.0 };
    let answers = Answers::classes(labels, 10);
    Dataset::new("enlarged digits", &[28, 28], features, answers).map(Arc::new)
}
