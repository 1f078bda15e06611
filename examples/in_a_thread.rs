//! Training in a thread while the main thread lives: it hears of every step over a channel, and
//! ends the run.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use secateur::data::Batches;
use secateur::train::{Event, TrainOptions, train};
use secateur::{Gpu, GpuOptions, Model, Optimizer, Pruning, Result, TrainOp, digits};

fn main() -> Result<()> {
    let data = digits();
    let gpu = Gpu::open(&GpuOptions::from_env()?)?;
    let (tell, heard) = channel();
    let stop = Arc::new(AtomicBool::new(false));
    let (train_set, asked) = (Arc::clone(&data.train), Arc::clone(&stop));
    let training = thread::spawn(move || {
        let batches = Batches::new(train_set, 64, Some(1))?;
        let model = Model::mlp(&[64]);
        let train_op = TrainOp::new(&gpu, &model, Optimizer::adam(0.002), batches, 1)?;
        let spec = "target_sparsity=0.8,sparsity_function_end_step=300".parse()?;
        let masks = Pruning::new(spec)?.conditional_mask_update_op();
        let options =
            TrainOptions::default().stop(Some(asked)).on_event(Some(Box::new(move |event| {
                if let Event::Step(step) = event {
                    // Nobody may be listening any more; training goes on.
                    tell.send((step.step, step.loss)).ok();
                }
            })));
        train(train_op, None, masks, options)
    });

    // An application would draw here; this one counts its frames.
    let mut frames = 0;
    let mut last = (0, 0.0);
    while last.0 < 400 && !training.is_finished() {
        thread::sleep(Duration::from_millis(16));
        frames += 1;
        if let Some(newest) = heard.try_iter().last() {
            last = newest;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let outcome = training.join().expect("training does not panic")?;
    println!(
        "{frames} frames drawn while {} steps were trained; loss {:.4}",
        outcome.global_step, last.1
    );
    let accuracy = outcome.session.evaluate(&data.test)?.accuracy();
    println!("test accuracy {:.4}", accuracy.unwrap_or(0.0));
    Ok(())
}
