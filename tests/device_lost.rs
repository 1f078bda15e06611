//! A device that is lost in the middle of a run. A binary of its own: each test has its own device.
use std::cell::{Cell, RefCell};
use std::fs;
use std::path::Path;

use secateur::data::{Batches, digits};
use secateur::train::checkpoint::{MODEL_FILE, OPTIMIZER_FILE, newest};
use secateur::train::{Event, TrainOptions, train};
use secateur::{Error, Gpu, GpuOptions, Model, Optimizer, Pruning, Result, TrainOp};

fn open() -> Option<Gpu> {
    let options = GpuOptions { cache_dir: None, ..GpuOptions::from_env().unwrap() };
    match Gpu::open(&options) {
        Ok(gpu) => Some(gpu),
        Err(e) if std::env::var("SECATEUR_REQUIRE_GPU").is_ok_and(|v| v == "1") => panic!("{e}"),
        Err(e) => {
            eprintln!("SKIPPED: {e}");
            None
        }
    }
}

/// Trains 40 steps, saving every 10.
fn run(gpu: &Gpu, logdir: Option<&Path>, options: TrainOptions<'_>) -> Result<u64> {
    let batches = Batches::new(digits().train, 32, Some(1))?;
    let op = TrainOp::new(gpu, &Model::mlp(&[16]), Optimizer::adam(0.01), batches, 1)?;
    let spec = "pruning_frequency=7,sparsity_function_end_step=30".parse()?;
    let options = TrainOptions {
        number_of_steps: Some(40),
        save_every_n_steps: logdir.map(|_| 10),
        ..options
    };
    let mask_update_op = Pruning::new(spec)?.conditional_mask_update_op();
    train(op, logdir, mask_update_op, options).map(|outcome| outcome.global_step)
}

/// An observer that gives `gpu` up once step 25 is known.
fn lose_at_25<'a>(gpu: &'a Gpu, seen: &'a RefCell<Vec<Event>>) -> TrainOptions<'a> {
    let on_event = move |event: &Event| {
        if matches!(event, Event::Step(step) if step.step == 25) {
            gpu.destroy();
        }
        seen.borrow_mut().push(event.clone());
    };
    TrainOptions { on_event: Some(Box::new(on_event)), ..Default::default() }
}

fn files(logdir: &Path) -> [Vec<u8>; 2] {
    let folder = logdir.join("ckpt-000000000040");
    [MODEL_FILE, OPTIMIZER_FILE].map(|f| fs::read(folder.join(f)).unwrap())
}

#[test]
fn a_run_goes_on_with_a_fresh_device_bit_for_bit() {
    let Some(gpu) = open() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [straight, lost] = ["straight", "lost"].map(|n| folder.path().join(n));
    assert_eq!(run(&gpu, Some(&straight), TrainOptions::default()).unwrap(), 40);
    let seen = RefCell::default();
    assert_eq!(run(&gpu, Some(&lost), lose_at_25(&gpu, &seen)).unwrap(), 40);
    let seen = seen.into_inner();
    let at = seen.iter().position(|e| matches!(e, Event::DeviceLost { .. })).unwrap();
    let Event::Start { step, .. } = seen[at + 1] else { panic!("{:?}", seen[at + 1]) };
    assert!([10, 20].contains(&step), "a checkpoint before the loss: {step}");
    assert!(files(&straight) == files(&lost));
}

#[test]
fn without_retries_the_loss_is_an_error_and_the_next_run_resumes() {
    let Some(gpu) = open() else { return };
    let folder = tempfile::tempdir().unwrap();
    let seen = RefCell::default();
    let options = TrainOptions { max_retries: 0, ..lose_at_25(&gpu, &seen) };
    let error = run(&gpu, Some(folder.path()), options).unwrap_err();
    assert!(matches!(error, Error::DeviceLost(_)), "{error}");
    assert!(error.to_string().contains("resume"), "{error}");
    let found = newest(folder.path()).unwrap().unwrap();
    assert!([10, 20].contains(&found.manifest.global_step), "the last good checkpoint is there");
    let none = TrainOptions { max_retries: 0, ..Default::default() };
    let again = run(&gpu, Some(folder.path()), none).unwrap_err();
    assert!(matches!(again, Error::DeviceLost(_)), "a lost device stays lost: {again}");
    let fresh = gpu.reopen().unwrap();
    assert_eq!(run(&fresh, Some(folder.path()), TrainOptions::default()).unwrap(), 40);
}

#[test]
fn without_a_logdir_there_is_nothing_to_go_on_from() {
    let Some(gpu) = open() else { return };
    let seen = RefCell::default();
    let error = run(&gpu, None, lose_at_25(&gpu, &seen)).unwrap_err();
    assert!(matches!(error, Error::DeviceLost(_)), "{error}");
}

#[test]
fn a_device_that_is_lost_at_every_start_is_given_up() {
    let Some(gpu) = open() else { return };
    let folder = tempfile::tempdir().unwrap();
    let starts = Cell::new(0);
    let options = TrainOptions {
        max_retries: 2,
        local_init_op: Some(Box::new(|session| {
            starts.set(starts.get() + 1);
            session.gpu().destroy();
            Ok(())
        })),
        ..Default::default()
    };
    let error = run(&gpu, Some(folder.path()), options).unwrap_err();
    assert!(matches!(error, Error::DeviceLost(_)), "{error}");
    assert_eq!(starts.get(), 3);
}
