//! From the start of a process to its first finished step.
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use secateur::bench::TrainStep;
use secateur::train::Event;
use secateur::{
    Batches, Error, Gpu, GpuOptions, MaskUpdateOp, Result, TrainOp, TrainOptions, train,
};

use super::rows::Rows;

/// First argument of a process that only takes a step.
const CHILD: &str = "cold-start-child";

/// Where this library, Mesa and NVIDIA's driver look for their caches.
const CACHES: [&str; 6] = [
    "HOME",
    "XDG_CACHE_HOME",
    "LOCALAPPDATA",
    "MESA_SHADER_CACHE_DIR",
    "MESA_GLSL_CACHE_DIR",
    "__GL_SHADER_DISK_CACHE_PATH",
];

/// Whether this process is such a one; then `tiny` says how large its network is to be.
pub fn child() -> Option<bool> {
    let mut args = std::env::args().skip(1);
    (args.next()? == CHILD).then(|| args.next().is_some())
}

/// Takes one step and says so.
pub fn first_step(tiny: bool) -> Result<()> {
    let gpu = Gpu::open(&GpuOptions::from_env()?)?;
    let (hidden, batch): (&[u32], _) = if tiny { (&[8], 4) } else { (&[300, 100], 128) };
    let TrainStep { model, data, optimizer, .. } = TrainStep::mlp(hidden, batch, "adam")?;
    let batches = Batches::new(data, batch, Some(1))?;
    let train_op = TrainOp::new(&gpu, &model, optimizer, batches, 1)?;
    let tell = |event: &Event| {
        if let Event::Step(_) = event {
            writeln!(io::stdout(), "step").ok();
        }
    };
    let options = TrainOptions::default().number_of_steps(Some(1)).on_event(Some(Box::new(tell)));
    train(train_op, None, MaskUpdateOp::none(), options).map(|_| ())
}

/// With caches that are empty, and with those that a process before has filled.
pub fn cold_start(rows: &mut Rows<'_>) {
    let tiny = rows.tiny;
    let timed = |caches: &Path| start(caches, tiny).map_err(Error::io("start", caches));
    let folder = || tempfile::tempdir().map_err(Error::io("create", Path::new("a folder")));
    rows.row("cold start", "first time ever", None, |times| {
        (0..times).map(|_| timed(folder()?.path())).sum()
    });
    let mut caches = None;
    rows.row("cold start", "warm", None, |times| {
        if caches.is_none() {
            timed(caches.insert(folder()?).path())?;
        }
        let caches = caches.as_ref().expect("just filled");
        (0..times).map(|_| timed(caches.path())).sum()
    });
}

/// Time from here to the first step of a process that finds its caches in `caches`.
fn start(caches: &Path, tiny: bool) -> io::Result<Duration> {
    let begin = Instant::now();
    let mut child = Command::new(std::env::current_exe()?)
        .arg(CHILD)
        .args(tiny.then(|| OsString::from("tiny")))
        .envs(CACHES.map(|name| (name, caches)))
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let taken = begin.elapsed();
    let status = child.wait()?;
    if status.success() && line == "step\n" {
        Ok(taken)
    } else {
        Err(io::Error::other(format!("the process took no step: {status}")))
    }
}
