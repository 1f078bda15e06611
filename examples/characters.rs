//! Language models of characters, an LSTM and a small transformer, pruned to 80 % while they learn.
//!
//! `cargo run --release --example characters -- FILE` with a text; without one, on this crate's own
//! documents. `--quick` takes a few steps only.
use std::path::Path;
use std::sync::Arc;

use secateur::data::{Split, text};
use secateur::optim::{Clip, Training};
use secateur::{
    Batches, Gpu, GpuOptions, Model, Optimizer, Pruning, Result, TrainOp, TrainOptions, train,
};

fn main() -> Result<()> {
    let (quick, files): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|a| a == "--quick");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let file = files.first().map_or(own.as_path(), Path::new);
    let gpu = Gpu::open(&GpuOptions::from_env()?)?;
    let (steps, models) = match quick.is_empty() {
        true => (1000, ["charlstm:128x1", "chargpt:64x2x4"]),
        false => (30, ["charlstm:32x1", "chargpt:16x1x2"]),
    };
    let data = text(file, 32)?;
    for model in models {
        run(&gpu, &model.parse()?, &data, steps)?;
    }
    Ok(())
}

fn run(gpu: &Gpu, model: &Model, data: &Split, steps: u64) -> Result<()> {
    // Row by row each batch goes on where the one before it ended, and so does the state of an
    // LSTM.
    let batches = Batches::new(Arc::clone(&data.train), 16, None)?.streams(true);
    let clip = Clip::default().global_norm(Some(1.0));
    let training = Training::from(Optimizer::adam(0.005)).clip(clip);
    let train_op = TrainOp::new(gpu, model, training, batches, 1)?;
    let spec = format!(
        "target_sparsity=0.8,pruning_frequency={},sparsity_function_end_step={}",
        steps / 15,
        steps * 2 / 3
    );
    let pruning = Pruning::new(spec.parse()?)?;
    let options = TrainOptions::default().number_of_steps(Some(steps));
    let outcome = train(train_op, None, pruning.conditional_mask_update_op(), options)?;
    let evaluation = outcome.session.evaluate(&data.test)?;
    println!(
        "{model}, {steps} steps: {:.3} nats a character on the rest of the text, {:.1} % right",
        evaluation.loss,
        100.0 * evaluation.accuracy().unwrap_or(0.0)
    );
    for layer in outcome.session.layers()? {
        println!("{} {:?}: {} of {} left", layer.name, layer.shape, layer.nonzero, layer.total());
        assert!((layer.sparsity - 0.8).abs() < 1e-2, "{}", layer.name);
    }
    // Knowing nothing costs the logarithm of the alphabet's size.
    let alphabet = data.train.alphabet().map_or(1, <[char]>::len) as f64;
    assert!(evaluation.loss < 0.9 * alphabet.ln(), "{steps} steps should have taught it something");
    Ok(())
}
