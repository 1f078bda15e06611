//! A device that is lost in the middle of a run. A binary of its own: no other test survives it.
use secateur::data::{Batches, digits};
use secateur::train::checkpoint::newest;
use secateur::train::{Event, TrainOptions, train};
use secateur::{Error, Gpu, GpuOptions, MaskUpdateOp, Model, Optimizer, TrainOp};

fn run(gpu: &Gpu, logdir: &std::path::Path, steps: u64, lose_at: u64) -> secateur::Result<u64> {
    let batches = Batches::new(digits().train, 32, Some(1))?;
    let op = TrainOp::new(gpu, &Model::mlp(&[16]), Optimizer::adam(0.01), batches, 1)?;
    let mut seen = 0;
    let options = TrainOptions {
        number_of_steps: Some(steps),
        save_every_n_steps: Some(10),
        on_event: Some(Box::new(|event| {
            if let Event::Step(step) = event {
                seen = step.step;
                if step.step == lose_at {
                    gpu.destroy();
                }
            }
        })),
        ..Default::default()
    };
    train(op, Some(logdir), MaskUpdateOp::none(), options).map(|outcome| outcome.global_step)
}

#[test]
fn a_lost_device_is_an_error_and_the_run_goes_on_from_the_checkpoint() {
    let options = GpuOptions { cache_dir: None, ..GpuOptions::from_env().unwrap() };
    let gpu = match Gpu::open(&options) {
        Ok(gpu) => gpu,
        Err(e) if std::env::var("SECATEUR_REQUIRE_GPU").is_ok_and(|v| v == "1") => panic!("{e}"),
        Err(e) => {
            eprintln!("SKIPPED: {e}");
            return;
        }
    };
    let folder = tempfile::tempdir().unwrap();
    let error = run(&gpu, folder.path(), 40, 25).unwrap_err();
    assert!(matches!(error, Error::DeviceLost(_)), "{error}");
    assert!(error.to_string().contains("resume"), "{error}");
    let again = run(&gpu, folder.path(), 40, 0).unwrap_err();
    assert!(matches!(again, Error::DeviceLost(_)), "a lost device stays lost: {again}");
    let found = newest(folder.path()).unwrap().unwrap();
    assert_eq!(found.manifest.global_step, 20, "the last good checkpoint is there");
    drop(gpu);
    let fresh = Gpu::open(&options).unwrap();
    assert_eq!(run(&fresh, folder.path(), 40, 0).unwrap(), 40);
}
