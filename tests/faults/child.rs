//! This binary again, as a process that can be killed: the ignored tests here are what it runs.
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::{env, thread};

use secateur::checkpoint::{self, Lock};

use crate::fixture::{KEPT, save};

const LOGDIR: &str = "SECATEUR_FAULTS_LOGDIR";
const SAVES: &str = "SECATEUR_FAULTS_SAVES";

/// Saves into the logdir, step after step, and says so after each.
#[test]
#[ignore = "runs as the child of other tests"]
fn saver() {
    let Some(logdir) = env::var_os(LOGDIR).map(PathBuf::from) else { return };
    let saves = env::var(SAVES).map_or(usize::MAX, |n| n.parse().unwrap());
    let _lock = Lock::acquire(&logdir).unwrap();
    checkpoint::sweep(&logdir).unwrap();
    let newest = checkpoint::newest(&logdir).unwrap();
    let done = newest.map_or(0, |found| found.manifest.global_step);
    tell("ready".into());
    for step in (done + 1..).take(saves) {
        match save(&logdir, step, KEPT) {
            Ok(_) => tell(format!("acked {step}")),
            Err(error) => return tell(format!("failed: {error}")),
        }
    }
}

/// Holds the logdir's lock until it is killed, or its parent is gone.
#[test]
#[ignore = "runs as the child of other tests"]
fn holder() {
    let Some(logdir) = env::var_os(LOGDIR).map(PathBuf::from) else { return };
    let _lock = Lock::acquire(&logdir).unwrap();
    tell("ready".into());
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// One write, so that a kill leaves no half line.
pub fn tell(line: String) {
    io::stderr().write_all((line + "\n").as_bytes()).unwrap();
}

/// Makes `command`, which ends with this binary, the child `test` on `logdir`; without `saves` it
/// goes on for ever.
pub fn dress(command: &mut Command, test: &str, logdir: &Path, saves: Option<usize>) {
    command.args([&format!("child::{test}"), "--exact", "--ignored", "--nocapture"]);
    command.env(LOGDIR, logdir).envs(saves.map(|n| (SAVES, n.to_string())));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
}

/// A child at work; killed when dropped.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
}

impl Process {
    /// Starts the child `test` on `logdir` and waits until it is ready.
    pub fn start(test: &str, logdir: &Path) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        dress(&mut command, test, logdir, None);
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || stderr.lines().try_for_each(|line| sender.send(line.unwrap())));
        let this = Self { child, lines };
        assert_eq!(this.lines.recv().as_deref(), Ok("ready"), "{test} did not start");
        this
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The last save that it acknowledged since the last look.
    pub fn acknowledged(&self) -> Option<u64> {
        self.lines.try_iter().map(|line| step(&line)).last()
    }

    /// Ends it with SIGKILL; the saves that it acknowledged since the last look.
    pub fn kill(mut self) -> Vec<u64> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.lines.iter().map(|line| step(&line)).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn step(line: &str) -> u64 {
    let step = line.strip_prefix("acked ").and_then(|step| step.parse().ok());
    step.unwrap_or_else(|| panic!("the child says: {line}"))
}
