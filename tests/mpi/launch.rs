//! Starts programs under `mpirun`, never without a watchdog.
use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::needs::{TOOLS, missing};

/// Names the scenario to a child; see [`Job::scenario`].
pub const SCENARIO: &str = "SECATEUR_MPI_SCENARIO";
/// Names another `mpirun` than the one on the path.
const MPIRUN: &str = "SECATEUR_MPIRUN";
/// One job at a time: each has more ranks than the machine has cores.
static TURN: Mutex<()> = Mutex::new(());

/// A job that is not started yet.
pub struct Job {
    command: Command,
    patience: Duration,
}

/// How a job ended.
#[derive(Debug)]
pub struct Ended {
    /// Of `mpirun`; `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

/// A job of `ranks` ranks; `None`, with a line on stderr, where there is no `mpirun`.
pub fn mpirun(ranks: usize) -> Option<Job> {
    let program = std::env::var_os(MPIRUN).unwrap_or_else(|| "mpirun".into());
    let Ok(version) = Command::new(&program).arg("--version").output() else {
        missing(TOOLS, format_args!("there is no {} here", Path::new(&program).display()));
        return None;
    };
    let mut command = Command::new(&program);
    command.args(["-n", &ranks.to_string()]);
    if String::from_utf8_lossy(&version.stdout).contains("Open MPI") {
        command.args(["--oversubscribe", "--bind-to", "none"]);
        command.args(["--mca", "mpi_yield_when_idle", "1"]);
        command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
    }
    Some(Job { command, patience: Duration::from_secs(60) })
}

impl Job {
    /// Each rank is this test program again, as `scenarios` has it by `name`.
    pub fn scenario(mut self, name: &str) -> Self {
        self.command.arg(std::env::current_exe().expect("a test is a program"));
        dress(&mut self.command, name);
        self
    }

    /// Each rank is `program`.
    pub fn program<A: AsRef<OsStr>>(mut self, program: &Path, arguments: &[A]) -> Self {
        self.command.arg(program).args(arguments);
        self
    }

    #[allow(dead_code, reason = "for jobs of the command line")]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// How long it may take; a minute without this.
    #[allow(dead_code, reason = "for jobs that take longer")]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// `ranks` more of another program.
    pub fn also<A: AsRef<OsStr>>(mut self, ranks: usize, program: &Path, arguments: &[A]) -> Self {
        self.command.args([":", "-n", &ranks.to_string()]);
        self.program(program, arguments)
    }

    /// Its command, for who looks after it, and the turn that it takes.
    pub fn into_command(self) -> (Command, MutexGuard<'static, ()>) {
        (self.command, TURN.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// Where it takes longer than its patience; it is killed then.
    pub fn run(mut self) -> Ended {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let start = Instant::now();
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("mpirun starts");
        let stdout = listen(child.stdout.take().expect("piped"));
        let stderr = listen(child.stderr.take().expect("piped"));
        let code = loop {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                break Ok(status.code());
            }
            if start.elapsed() > self.patience {
                child.kill().expect("a child can be killed");
                child.wait().expect("a child can be waited for");
                break Err(self.patience);
            }
            thread::sleep(Duration::from_millis(10));
        };
        let took = start.elapsed();
        // Ranks of a killed mpirun notice it within a second or so, and hold the pipes until then.
        let heard = |from: Receiver<String>| from.recv_timeout(Duration::from_secs(10));
        let (stdout, stderr) = (heard(stdout), heard(stderr));
        let (stdout, stderr) = (stdout.unwrap_or_default(), stderr.unwrap_or_default());
        let code = code.unwrap_or_else(|patience| {
            panic!("no end after {patience:?}: {:?}\n{stdout}\n{stderr}", self.command)
        });
        Ended { code, stdout, stderr, took }
    }
}

impl Ended {
    /// # Panics
    /// Unless mpirun's exit code is `code`.
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }
}

/// Makes `command`, which ends with this test program, the scenario `name`.
pub fn dress(command: &mut Command, name: &str) {
    command.args(["scenarios::a_process_without_mpirun_is_alone", "--exact", "--nocapture"]);
    command.env(SCENARIO, name);
}

/// All that comes, once there is no more.
fn listen(mut pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, all) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        // Nobody listens any more where the job had to be killed.
        sender.send(String::from_utf8_lossy(&bytes).into_owned()).ok();
    });
    all
}
