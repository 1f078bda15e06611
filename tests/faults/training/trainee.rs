//! A training run in a process of its own, which takes its next step when the test listens to it.
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;
use std::{env, fs, iter, thread};

use secateur::checkpoint::{MODEL_FILE, OPTIMIZER_FILE};
use secateur::data::{Batches, digits};
use secateur::train::{Event, StepReturn, TrainOptions, TrainOutcome, train};
use secateur::{Error, Gpu, GpuOptions, Model, Optimizer, Pruning, Result, TrainOp};
use serde::{Deserialize, Serialize};

use crate::child::tell;
use crate::fixture::leftovers;
use crate::needs::{GPU, missing, say};

const JOB: &str = "SECATEUR_FAULTS_JOB";
/// Longest silence before a test gives up.
const WATCHDOG: Duration = Duration::from_secs(120);
/// Rest before each step, as a save takes as long as many steps of a network this small.
const REST: Duration = Duration::from_millis(4);

/// A run, on the digits in batches of 32: 45 to the epoch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    pub logdir: PathBuf,
    pub steps: u64,
    pub save_every_n_steps: Option<u64>,
    pub save_interval_secs: f64,
    pub max_to_keep: usize,
    pub keep_every_n_hours: Option<f64>,
    pub trace_every_n_steps: Option<u64>,
    /// The step whose loss is NaN.
    pub nan_at: Option<u64>,
}

/// What a run says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Said {
    /// It goes on from this step.
    Start(u64),
    Step(u64),
    Saved(u64),
    SaveFailed(u64, String),
    /// It is at its end.
    Done(u64),
    Failed(String),
}

/// What [`Trainee::start`] runs.
#[test]
#[ignore = "runs as the child of other tests"]
fn trainee() {
    let Ok(job) = env::var(JOB) else { return };
    let job: Job = serde_json::from_str(&job).unwrap();
    tell_said(&match job.train() {
        Ok(outcome) => Said::Done(outcome.global_step),
        Err(error) => Said::Failed(error.to_string()),
    });
}

fn tell_said(said: &Said) {
    tell(serde_json::to_string(said).unwrap());
}

/// Waits to be listened to; for ever, where the other end is closed, it does not.
fn told(event: &Event) {
    let said = match event {
        Event::Start { step, .. } => Said::Start(*step),
        Event::Step(event) => Said::Step(event.step),
        Event::Checkpoint { step, .. } => Said::Saved(*step),
        Event::SaveFailed { step, message } => Said::SaveFailed(*step, message.clone()),
        _ => return,
    };
    tell_said(&said);
    if matches!(said, Said::Step(_)) {
        // 0 bytes at the end of the input: nobody listens any more.
        let _heard = io::stdin().read(&mut [0]).unwrap();
    }
}

impl Job {
    /// 60 steps, with a mask update every 5 and a save every 7.
    pub fn new(logdir: &Path) -> Self {
        Self {
            logdir: logdir.into(),
            steps: 60,
            save_every_n_steps: Some(7),
            save_interval_secs: 0.0,
            max_to_keep: 100,
            keep_every_n_hours: None,
            trace_every_n_steps: None,
            nan_at: None,
        }
    }

    fn train(self) -> Result<TrainOutcome> {
        let batches = Batches::new(digits().train, 32, Some(1))?;
        let adam = Optimizer::adam(0.01);
        let op = TrainOp::new(&Gpu::open(&gpu_options())?, &Model::mlp(&[32]), adam, batches, 1)?;
        let spec = "pruning_frequency=5,sparsity_function_end_step=50".parse()?;
        let options = TrainOptions::default()
            .number_of_steps(Some(self.steps))
            .save_every_n_steps(self.save_every_n_steps)
            .save_interval_secs(self.save_interval_secs)
            .max_to_keep(self.max_to_keep)
            .keep_every_n_hours(self.keep_every_n_hours)
            .trace_every_n_steps(self.trace_every_n_steps)
            .save_summaries_steps(Some(1))
            .train_step_fn(Some(Box::new(move |step| {
                step.train()?;
                let bad = self.nan_at == Some(step.global_step());
                Ok(StepReturn::default().loss(bad.then_some(f32::NAN)))
            })))
            .on_event(Some(Box::new(told)));
        let mask_update_op = Pruning::new(spec)?.conditional_mask_update_op();
        train(op, Some(&self.logdir), mask_update_op, options)
    }
}

fn gpu_options() -> GpuOptions {
    GpuOptions::from_env().unwrap().cache_dir(None)
}

/// Whether there is an adapter; else a line on stderr.
///
/// # Panics
/// Where there is none and `SECATEUR_REQUIRE_GPU=1`.
pub fn adapter() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| match Gpu::open(&gpu_options()) {
        Ok(_) => true,
        Err(e @ Error::NoAdapter { .. }) => {
            missing(GPU, e);
            false
        }
        Err(e) => panic!("{e}"),
    })
}

/// What a process writes, line by line until it ends.
///
/// # Panics
/// When it is silent for too long.
pub fn lines(pipe: impl Read + Send + 'static) -> impl Iterator<Item = String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let mut lines = BufReader::new(pipe).lines().map_while(io::Result::ok);
        lines.try_for_each(|line| sender.send(line))
    });
    iter::from_fn(move || match lines.recv_timeout(WATCHDOG) {
        Err(RecvTimeoutError::Timeout) => panic!("a process that is silent for {WATCHDOG:?}"),
        line => line.ok(),
    })
}

/// A run under way; killed when dropped. As an iterator, what it says until its process ends: as
/// long as nobody asks for more, it takes no step.
pub struct Trainee {
    child: Child,
    said: Box<dyn Iterator<Item = Said>>,
    /// It waits to be let on.
    waiting: bool,
}

impl Trainee {
    pub fn start(job: &Job) -> Self {
        Self::start_with(job, |_| {})
    }

    /// Starts it with more in its environment.
    pub fn start_with(job: &Job, dress: impl FnOnce(&mut Command)) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["training::trainee::trainee", "--exact", "--ignored", "--nocapture"]);
        command.env(JOB, serde_json::to_string(job).unwrap());
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        dress(&mut command);
        let mut child = command.spawn().unwrap();
        let said = lines(child.stderr.take().unwrap()).filter_map(|line| {
            let said = serde_json::from_str(&line);
            said.map_err(|_| say(&format!("a trainee: {line}"))).ok()
        });
        Self { child, said: Box::new(said), waiting: false }
    }

    /// Lets it go on alone, and ends it with SIGKILL after `delay`; whether that met it alive.
    pub fn kill(mut self, delay: Duration) -> bool {
        self.child.stdin.take();
        thread::sleep(delay);
        self.child.kill().unwrap();
        self.child.wait().unwrap().signal() == Some(9)
    }

    /// Lets it go on to its end, and alone; the rest of what it says. A panic is no end.
    pub fn end(mut self) -> Vec<Said> {
        self.child.stdin.take();
        self.end_slowly()
    }

    /// As [`end`](Self::end), listening to each step.
    pub fn end_slowly(mut self) -> Vec<Said> {
        let rest = self.by_ref().collect();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}, after {rest:?}");
        rest
    }
}

impl Iterator for Trainee {
    type Item = Said;

    fn next(&mut self) -> Option<Said> {
        if let (true, Some(stdin)) = (self.waiting, &mut self.child.stdin) {
            thread::sleep(REST);
            // It may just have been killed.
            stdin.write_all(b".").ok();
        }
        let said = self.said.next();
        self.waiting = matches!(said, Some(Said::Step(_)));
        said
    }
}

impl Drop for Trainee {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What a run has in its two files after `step`.
pub fn files(logdir: &Path, step: u64) -> [Vec<u8>; 2] {
    let folder = logdir.join(format!("ckpt-{step:012}"));
    [MODEL_FILE, OPTIMIZER_FILE].map(|f| fs::read(folder.join(f)).unwrap())
}

/// What a run of so many steps that nothing interrupts ends with.
pub fn straight(steps: u64) -> [Vec<u8>; 2] {
    let dir = tempfile::tempdir().unwrap();
    let said = Trainee::start(&Job { steps, ..Job::new(dir.path()) }).end();
    assert_eq!(said.last(), Some(&Said::Done(steps)));
    files(dir.path(), steps)
}

/// Temporary folders that saves have left behind.
pub fn temporary(logdir: &Path) -> Vec<String> {
    leftovers(logdir).into_iter().filter(|name| name.starts_with('.')).collect()
}
