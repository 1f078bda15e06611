//! The program that the other tests run under faults: a small pruned network, saved often.
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use secateur::checkpoint::{MODEL_FILE, OPTIMIZER_FILE};
use secateur::data::{Batches, digits};
use secateur::train::{Event, TrainOptions, train};
use secateur::{Error, Gpu, GpuOptions, Model, Optimizer, Pruning, Result, TrainOp};

/// Logdir of the program; without it, it is not meant to run.
const LOGDIR: &str = "SECATEUR_TEST_LOGDIR";
/// Whether each step is traced, which waits for the device in each.
const TRACED: &str = "SECATEUR_TEST_TRACED";
const STEPS: u64 = 60;
const SAVE_EVERY: u64 = 6;

/// This program, to train in `logdir`.
pub fn training(logdir: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--ignored", "--exact", "child::child", "--nocapture"]).env(LOGDIR, logdir);
    command
}

/// As [`training`], with at least a wait in each step.
pub fn waiting(logdir: &Path) -> Command {
    let mut command = training(logdir);
    command.env(TRACED, "1");
    command
}

/// What a run that came to its end left in `logdir`: model and optimizer.
pub fn trained(logdir: &Path) -> [Vec<u8>; 2] {
    let folder = logdir.join(format!("ckpt-{STEPS:012}"));
    [MODEL_FILE, OPTIMIZER_FILE].map(|file| fs::read(folder.join(file)).expect("its checkpoint"))
}

/// Ends with 0 or, after a line that says why, with 2 or, where
/// the device is lost, 72; says what happens on standard error.
#[test]
#[ignore = "the program that the other tests run"]
fn child() {
    let Some(logdir) = std::env::var_os(LOGDIR) else { return };
    if let Err(error) = run(Path::new(&logdir)) {
        eprintln!("secateur: {error}");
        std::process::exit(if matches!(error, Error::DeviceLost(_)) { 72 } else { 2 });
    }
}

fn run(logdir: &Path) -> Result<()> {
    let gpu = Gpu::open(&GpuOptions::from_env()?.cache_dir(None))?;
    eprintln!("opened");
    let batches = Batches::new(digits().train, 32, Some(1))?;
    let op = TrainOp::new(&gpu, &Model::mlp(&[64]), Optimizer::adam(0.01), batches, 1)?;
    let spec = "pruning_frequency=7,sparsity_function_end_step=45".parse()?;
    let options = TrainOptions::default()
        .number_of_steps(Some(STEPS))
        .save_every_n_steps(Some(SAVE_EVERY))
        .trace_every_n_steps(std::env::var_os(TRACED).map(|_| 1))
        .on_event(Some(Box::new(|event| match event {
            Event::Start { step, .. } => eprintln!("start: {} step {step}", unix_seconds()),
            Event::DeviceLost { cause } => eprintln!("lost: {cause}"),
            Event::SaveFailed { message, .. } => eprintln!("save failed: {message}"),
            _ => {}
        })));
    train(op, Some(logdir), Pruning::new(spec)?.conditional_mask_update_op(), options).map(|_| ())
}

fn unix_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64()
}
