//! Own rows in, trained and pruned, predictions out: a function of two numbers, learnt from 400
//! measurements.
use std::sync::Arc;

use secateur::data::{Answers, Batches, Dataset, Scaling};
use secateur::train::{TrainOptions, train};
use secateur::{Gpu, GpuOptions, Model, Optimizer, Pruning, PruningSpec, Result, Session, TrainOp};

fn main() -> Result<()> {
    let quick = std::env::args().any(|a| a == "--quick");
    let steps = if quick { 300 } else { 3_000 };

    // Rows of two features, and one number to predict for each.
    let features: Vec<f32> =
        (0..400).flat_map(|i| [(i % 20) as f32 * 5.0, (i / 20) as f32 * 0.1]).collect();
    let values: Vec<f32> = features.chunks(2).map(|x| x[0] * x[1] + 3.0).collect();
    let data = Dataset::new("measured", &[2], features, Answers::Values { values, outputs: 1 })?;
    // The scaling is kept with the model, and in its file.
    let scaling = Scaling::of(&data);
    let data = Arc::new(data.scaled(scaling)?);

    let gpu = Gpu::open(&GpuOptions::from_env()?)?;
    let batches = Batches::new(Arc::clone(&data), 32, Some(1))?;
    let train_op = TrainOp::new(&gpu, &Model::mlp(&[32, 32]), Optimizer::adam(0.01), batches, 1)?;
    let spec = PruningSpec::to(0.5).sparsity_function_end_step(steps / 2);
    let masks = Pruning::new(spec)?.conditional_mask_update_op();
    let options = TrainOptions::default().number_of_steps(Some(steps));
    let session = train(train_op, None, masks, options)?.session;
    for (metric, value) in session.evaluate(&data)?.figures.iter() {
        println!("{:<22} {value:.3}", metric.name());
    }

    // A file that any safetensors reader opens, and that predicts elsewhere.
    let path =
        std::env::temp_dir().join(format!("secateur-own-rows-{}.safetensors", std::process::id()));
    session.model_file()?.write(&path)?;
    let predictor = Session::open(&gpu, &path, 8)?;
    let prediction = predictor.predict(&[50.0, 1.0, 95.0, 0.5])?;
    println!(
        "50 * 1.0 + 3 is {:.1}, 95 * 0.5 + 3 is {:.1}",
        prediction.values[0], prediction.values[1]
    );
    std::fs::remove_file(&path).ok();
    Ok(())
}
