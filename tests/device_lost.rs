//! A device that is lost in the middle of a run. A binary of its own: each test has its own device.
#[path = "common/needs.rs"]
mod needs;
#[path = "common/shared.rs"]
mod shared;

use shared::Shared;
use std::fs;
use std::path::Path;
use std::time::Duration;

use secateur::checkpoint::{MODEL_FILE, OPTIMIZER_FILE, newest};
use secateur::data::{Batches, digits};
use secateur::train::{Event, TrainOptions, TrainOutcome, train};
use secateur::{Error, Gpu, GpuOptions, Model, Optimizer, Pruning, Result, TrainOp};

fn open() -> Option<Gpu> {
    let options = GpuOptions::from_env().unwrap().cache_dir(None);
    match Gpu::open(&options) {
        Ok(gpu) => Some(gpu),
        Err(e @ Error::NoAdapter { .. }) => {
            needs::missing(needs::GPU, e);
            None
        }
        Err(e) => panic!("{e}"),
    }
}

/// Trains 40 steps, saving every 10 unless `options` say otherwise.
fn run(gpu: &Gpu, logdir: Option<&Path>, options: TrainOptions<'_>) -> Result<TrainOutcome> {
    let batches = Batches::new(digits().train, 32, Some(1))?;
    let op = TrainOp::new(gpu, &Model::mlp(&[16]), Optimizer::adam(0.01), batches, 1)?;
    let spec = "pruning_frequency=7,sparsity_function_end_step=30".parse()?;
    let every = options.save_every_n_steps.or(logdir.map(|_| 10));
    let options =
        options.number_of_steps(Some(40)).save_every_n_steps(every).save_summaries_steps(Some(1));
    let mask_update_op = Pruning::new(spec)?.conditional_mask_update_op();
    train(op, logdir, mask_update_op, options)
}

/// An observer that gives `gpu` up at the first event that `when` picks.
fn lose<'a>(
    gpu: &'a Gpu,
    seen: &'a Shared<Vec<Event>>,
    when: fn(&Event) -> bool,
) -> TrainOptions<'a> {
    let on_event = move |event: &Event| {
        if when(event) {
            gpu.destroy();
        }
        seen.borrow_mut().push(event.clone());
    };
    TrainOptions::default().on_event(Some(Box::new(on_event)))
}

fn saved(event: &Event) -> bool {
    matches!(event, Event::Checkpoint { .. })
}

fn step_25(event: &Event) -> bool {
    matches!(event, Event::Step(step) if step.step == 25)
}

fn files(logdir: &Path) -> [Vec<u8>; 2] {
    let folder = logdir.join("ckpt-000000000040");
    [MODEL_FILE, OPTIMIZER_FILE].map(|f| fs::read(folder.join(f)).unwrap())
}

/// However far it had come: what the checkpoint does not hold is done again.
#[test]
fn a_run_goes_on_with_a_fresh_device_bit_for_bit() {
    let Some(gpu) = open() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [straight, lost] = ["straight", "lost"].map(|n| folder.path().join(n));
    assert_eq!(run(&gpu, Some(&straight), TrainOptions::default()).unwrap().global_step, 40);
    let seen = Shared::default();
    let (starts, pause) = (Shared::new(0), Duration::from_millis(200));
    let options = lose(&gpu, &seen, saved).local_init_op(Some(Box::new(|_| {
        starts.set(starts.get() + 1);
        std::thread::sleep(if starts.get() == 2 { pause } else { Duration::ZERO });
        Ok(())
    })));
    let outcome = run(&gpu, Some(&lost), options).unwrap();
    assert_eq!((outcome.global_step, outcome.steps), (40, 40));
    assert!(outcome.seconds >= pause.as_secs_f64(), "from the first step on: {}", outcome.seconds);
    let seen = seen.into_inner();
    let at = seen.iter().position(|e| matches!(e, Event::DeviceLost { .. })).unwrap();
    assert!(matches!(seen[at + 1], Event::Start { step: 10, .. }), "{:?}", seen[at + 1]);
    assert!(files(&straight) == files(&lost));
    let events = fs::read_dir(&lost).unwrap().map(|e| e.unwrap().path());
    let events = events.into_iter().find(|p| p.to_string_lossy().contains("tfevents")).unwrap();
    let (events, tag) = (fs::read(events).unwrap(), b"_hparams_/session_start_info");
    assert_eq!(events.windows(tag.len()).filter(|w| w == tag).count(), 1, "written once");
}

/// The data of the steps before is read again.
#[test]
fn without_a_checkpoint_the_run_begins_again() {
    let Some(gpu) = open() else { return };
    let folder = tempfile::tempdir().unwrap();
    let [straight, lost] = ["straight", "lost"].map(|n| folder.path().join(n));
    run(&gpu, Some(&straight), TrainOptions::default()).unwrap();
    let seen = Shared::default();
    let options = lose(&gpu, &seen, step_25).save_every_n_steps(Some(1000));
    assert_eq!(run(&gpu, Some(&lost), options).unwrap().steps, 40);
    let starts =
        seen.into_inner().into_iter().filter(|e| matches!(e, Event::Start { step: 0, .. }));
    assert_eq!(starts.count(), 2);
    assert!(files(&straight) == files(&lost));
}

/// The checkpoint that the call began with is gone when the device is: it counts from where it was.
#[test]
fn a_run_that_falls_behind_its_start_counts_no_step_below_it() {
    let Some(gpu) = open() else { return };
    let folder = tempfile::tempdir().unwrap();
    let seen = Shared::default();
    let options = lose(&gpu, &seen, saved).max_retries(0);
    run(&gpu, Some(folder.path()), options).unwrap_err();
    let fresh = gpu.reopen().unwrap();
    let options = TrainOptions::default()
        .save_every_n_steps(Some(1000))
        .trace_step(Some(1))
        .on_event(Some(Box::new(|event| {
            if step_25(event) && folder.path().join("ckpt-000000000010").exists() {
                fs::remove_dir_all(folder.path().join("ckpt-000000000010")).unwrap();
                fresh.destroy();
            }
        })));
    assert_eq!(run(&fresh, Some(folder.path()), options).unwrap().steps, 30);
}

/// Each checkpoint shows that the device before it was of use.
#[test]
fn retries_are_counted_anew_after_a_checkpoint() {
    let Some(gpu) = open() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (current, losses) = (Shared::new(gpu.clone()), Shared::new(0));
    let options = TrainOptions::default()
        .max_retries(1)
        .local_init_op(Some(Box::new(|session| {
            *current.borrow_mut() = session.gpu().clone();
            Ok(())
        })))
        .on_event(Some(Box::new(|event| {
            if saved(event) && losses.get() < 2 {
                losses.set(losses.get() + 1);
                current.borrow().destroy();
            }
        })));
    assert_eq!(run(&gpu, Some(folder.path()), options).unwrap().global_step, 40);
    assert_eq!(losses.get(), 2);
}

#[test]
fn without_retries_the_loss_is_an_error_and_the_next_run_resumes() {
    let Some(gpu) = open() else { return };
    let folder = tempfile::tempdir().unwrap();
    let seen = Shared::default();
    let options = lose(&gpu, &seen, saved).max_retries(0);
    let error = run(&gpu, Some(folder.path()), options).unwrap_err();
    assert!(matches!(error, Error::DeviceLost(_)), "{error}");
    assert!(error.to_string().contains("resume"), "{error}");
    let found = newest(folder.path()).unwrap().unwrap();
    assert_eq!(found.manifest.global_step, 10, "the last good checkpoint is there");
    let none = TrainOptions::default().max_retries(0);
    let again = run(&gpu, Some(folder.path()), none).unwrap_err();
    assert!(matches!(again, Error::DeviceLost(_)), "a lost device stays lost: {again}");
    let fresh = gpu.reopen().unwrap();
    let resumed = run(&fresh, Some(folder.path()), TrainOptions::default()).unwrap();
    assert_eq!((resumed.global_step, resumed.steps), (40, 30));
}

#[test]
fn without_a_logdir_there_is_nothing_to_go_on_from() {
    let Some(gpu) = open() else { return };
    let seen = Shared::default();
    let error = run(&gpu, None, lose(&gpu, &seen, step_25)).unwrap_err();
    assert!(matches!(error, Error::DeviceLost(_)), "{error}");
}

#[test]
fn a_device_that_is_lost_at_every_start_is_given_up() {
    let Some(gpu) = open() else { return };
    let folder = tempfile::tempdir().unwrap();
    let starts = Shared::new(0);
    let options = TrainOptions::default().max_retries(2).local_init_op(Some(Box::new(|session| {
        starts.set(starts.get() + 1);
        session.gpu().destroy();
        Ok(())
    })));
    let error = run(&gpu, Some(folder.path()), options).unwrap_err();
    assert!(matches!(error, Error::DeviceLost(_)), "{error}");
    assert_eq!(starts.get(), 3);
}

/// The message says what would have been enough, and a device opened afresh has the same budget.
#[test]
fn a_memory_budget_is_kept_to_the_byte() {
    let Some(gpu) = open() else { return };
    let with = |budget| {
        let options = GpuOptions::from_env().unwrap().cache_dir(None);
        Gpu::open(&options.memory_budget(Some(budget))).unwrap()
    };
    let needed = |gpu: &Gpu| match run(gpu, None, TrainOptions::default()).unwrap_err() {
        Error::MemoryBudget { bytes, budget, .. } => (bytes, budget),
        other => panic!("{other}"),
    };
    let small = with(1);
    let (bytes, budget) = needed(&small);
    assert_eq!(budget, 1);
    assert_eq!(needed(&small.reopen().unwrap()), (bytes, 1));
    assert_eq!(needed(&with(bytes - 1)), (bytes, bytes - 1));
    run(&with(bytes), None, TrainOptions::default()).unwrap();
    run(&gpu, None, TrainOptions::default()).unwrap();
}
