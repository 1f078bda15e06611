//! Gradient accumulation: four batches of 32 rows make one update, with the memory of one.
//!
//! `cargo run --release --example accumulate_gradients`
use secateur::train::StepReturn;
use secateur::{
    Batches, Gpu, GpuOptions, Model, Optimizer, Pruning, Result, TrainOp, TrainOptions, digits,
    train,
};

fn main() -> Result<()> {
    let gpu = Gpu::open(&GpuOptions::from_env()?)?;
    let data = digits();
    let batches = Batches::new(data.train, 32, Some(1))?;
    let train_op = TrainOp::new(&gpu, &Model::mlp(&[128, 64]), Optimizer::adam(0.002), batches, 1)?
        .accumulate_gradients();
    let pruning = Pruning::new("target_sparsity=0.9,sparsity_function_end_step=300".parse()?)?;
    let options =
        TrainOptions::default().number_of_steps(Some(450)).train_step_fn(Some(Box::new(|step| {
            for _ in 0..4 {
                step.accumulate()?;
            }
            step.apply()?;
            // The loss of all 128 rows is reported, without waiting for it here.
            Ok(StepReturn::default())
        })));
    let outcome = train(train_op, None, pruning.conditional_mask_update_op(), options)?;
    let accuracy = outcome.session.evaluate(&data.test)?.accuracy().unwrap_or(0.0);
    println!("{} updates of 4 x 32 rows: test accuracy {accuracy:.4}", outcome.global_step);
    for layer in outcome.session.layers()? {
        println!("{}: {} of {} weights left", layer.name, layer.nonzero, layer.total());
    }
    Ok(())
}
