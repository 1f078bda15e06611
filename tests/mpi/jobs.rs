//! Training jobs that something happens to: their processes can be found and hit.
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{MutexGuard, OnceLock};
use std::time::{Duration, Instant};
use std::{fs, iter, thread};

use secateur::checkpoint::{MODEL_FILE, OPTIMIZER_FILE, newest};
use secateur::{Error, Gpu, GpuOptions};
use tempfile::TempDir;

use crate::launch::{Job, mpirun};
use crate::needs::{GPU, missing};
use crate::paths;

/// Marks the processes of a job.
const MARK: &str = "SECATEUR_MPI_JOB";
/// Longest silence, and longest wait for an end.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long processes may stay after `mpirun`.
const GONE: Duration = Duration::from_secs(10);
/// Global steps of a run, unless a test says otherwise.
pub const STEPS: u64 = 200;

/// How ranks train together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    InStep,
    Backup,
    Async,
}

impl Way {
    pub const ALL: [Self; 3] = [Self::InStep, Self::Backup, Self::Async];

    fn options(self) -> &'static str {
        match self {
            Self::InStep => "--replicas-to-aggregate 4",
            Self::Backup => "--replicas-to-aggregate 2",
            Self::Async => "--async",
        }
    }

    /// Fewest ranks that it takes to be itself.
    pub fn ranks(self) -> usize {
        if self == Self::Backup { 3 } else { 2 }
    }
}

/// Who is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Rank(usize),
    Mpirun,
}

/// A run in a folder of its own.
pub struct Training {
    folder: TempDir,
    pub way: Way,
    /// More options; a `--steps` here replaces [`STEPS`].
    pub more: String,
}

impl Training {
    /// `None` where there is no adapter.
    pub fn new(way: Way) -> Option<Self> {
        adapter().then(|| Self { folder: TempDir::new().unwrap(), way, more: String::new() })
    }

    pub fn with(mut self, more: &str) -> Self {
        self.more = more.to_owned();
        self
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn logdir(&self) -> PathBuf {
        self.folder().join("run")
    }

    /// Arguments of the program.
    pub fn arguments(&self) -> Vec<String> {
        let defaults = [
            ("--model", "mlp:16"),
            ("--batch", "16"),
            ("--steps", "200"),
            ("--save-steps", "5"),
            ("--pruning", "pruning_frequency=5,sparsity_function_end_step=50"),
            ("--logdir", "run"),
        ];
        let given: Vec<&str> = self.more.split_whitespace().collect();
        let left = defaults.iter().filter(|(name, _)| !given.contains(name));
        let left = left.flat_map(|(name, value)| [*name, *value]);
        let fixed = iter::once("train").chain(self.way.options().split(' '));
        fixed.chain(left).chain(given.iter().copied()).map(str::to_owned).collect()
    }

    /// Starts it; `None` where there is no `mpirun`.
    pub fn start(&self, ranks: usize) -> Option<Running> {
        Some(self.launch(mpirun(ranks)?.program(&paths::program(), &self.arguments())))
    }

    /// Starts `job` in its folder.
    pub fn launch(&self, job: Job) -> Running {
        let (mut command, turn) = job.into_command();
        command.current_dir(self.folder());
        Running::start(command, turn)
    }

    /// Starts it and waits for its end, which must be in order.
    pub fn complete(&self, ranks: usize) -> Option<Over> {
        Some(self.start(ranks)?.end().expect(0))
    }

    /// Step of the newest checkpoint, 0 where there is none; no newer one may be damaged.
    pub fn newest(&self) -> u64 {
        if !self.logdir().exists() {
            return 0;
        }
        let Some(found) = newest(&self.logdir()).unwrap() else { return 0 };
        assert!(found.skipped.is_empty(), "{:?}", found.skipped);
        found.manifest.global_step
    }

    /// What it has in its two files after `step`.
    pub fn files(&self, step: u64) -> [Vec<u8>; 2] {
        let folder = self.logdir().join(format!("ckpt-{step:012}"));
        [MODEL_FILE, OPTIMIZER_FILE].map(|file| fs::read(folder.join(file)).unwrap())
    }

    /// Runs it on to `step`, with so many ranks, and checks what it leaves: in step the bytes of
    /// `straight`, and always a newest checkpoint at just that step.
    pub fn ends_as(&self, straight: Option<&[Vec<u8>; 2]>, ranks: usize, step: u64) -> Over {
        let over = self.complete(ranks).expect("it ran before");
        assert_eq!(self.newest(), step, "{:?}", over.said);
        let mut names = fs::read_dir(self.logdir()).unwrap().map(|e| e.unwrap().file_name());
        assert!(names.all(|name| !name.to_string_lossy().starts_with('.')), "a save left over");
        if let (Some(straight), Way::InStep) = (straight, self.way) {
            assert!(self.files(step) == *straight, "other bytes, {ranks} ranks");
        }
        over
    }
}

/// What a run of [`STEPS`] steps ends with that nothing happens to; `None` where none can be made.
pub fn straight() -> Option<&'static [Vec<u8>; 2]> {
    static STRAIGHT: OnceLock<Option<[Vec<u8>; 2]>> = OnceLock::new();
    let make = || {
        let training = Training::new(Way::InStep)?;
        training.complete(1).map(|_| training.files(STEPS))
    };
    STRAIGHT.get_or_init(make).as_ref()
}

fn adapter() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| match Gpu::open(&GpuOptions::from_env().expect("options")) {
        Ok(_) => true,
        Err(e @ Error::NoAdapter { .. }) => {
            missing(GPU, e);
            false
        }
        Err(e) => panic!("{e}"),
    })
}

/// A job under way; ended with SIGKILL when dropped.
pub struct Running {
    child: Child,
    mark: String,
    lines: Receiver<String>,
    pub said: Vec<String>,
    _turn: MutexGuard<'static, ()>,
}

/// How a job ended.
#[derive(Debug)]
pub struct Over {
    /// Exit code of `mpirun`, or the number of the signal that ended it, negative.
    pub code: i32,
    pub said: Vec<String>,
}

impl Running {
    fn start(mut command: Command, turn: MutexGuard<'static, ()>) -> Self {
        static JOBS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let job = JOBS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mark = format!("{MARK}={}-{job}", std::process::id());
        let (pipe, end) = io::pipe().unwrap();
        command.env(MARK, &mark[MARK.len() + 1..]).env("XDG_CACHE_HOME", paths::cache());
        command.stdin(Stdio::null()).stdout(end.try_clone().unwrap()).stderr(end);
        let child = command.spawn().expect("mpirun starts");
        drop(command);
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(pipe).lines().map_while(io::Result::ok);
            lines.try_for_each(|line| sender.send(line))
        });
        Self { child, mark, lines, said: Vec::new(), _turn: turn }
    }

    /// Waits for a line with `text`.
    ///
    /// # Panics
    /// Where none comes.
    pub fn says(&mut self, text: &str) -> String {
        let begun = Instant::now();
        loop {
            // Other lines are no sign of this one.
            match self.lines.recv_timeout(PATIENCE.saturating_sub(begun.elapsed())) {
                Ok(line) => self.said.push(line),
                Err(e) => panic!("it never said `{text}` ({e}): {:#?}", self.said),
            }
            if let Some(line) = self.said.last().filter(|line| line.contains(text)) {
                return line.clone();
            }
        }
    }

    /// Processes that are not the launcher, by their number among themselves or their rank.
    fn processes(&self) -> BTreeMap<u32, Option<usize>> {
        let all = fs::read_dir("/proc").unwrap().flatten();
        let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let of_job = |id: u32| {
            let environ = fs::read(format!("/proc/{id}/environ")).ok()?;
            let mut variables = environ.split(|b| *b == 0).map(String::from_utf8_lossy);
            variables.clone().find(|v| *v == self.mark)?;
            let rank = variables.find_map(|v| {
                let rank = v.strip_prefix("OMPI_COMM_WORLD_RANK=").or(v.strip_prefix("PMI_RANK="));
                rank?.parse().ok()
            });
            (id != self.child.id()).then_some((id, rank))
        };
        ids.filter_map(of_job).collect()
    }

    /// Process of `who`, once it is there.
    pub fn process(&self, who: Who) -> u32 {
        let Who::Rank(rank) = who else { return self.child.id() };
        let begun = Instant::now();
        loop {
            let found = self.processes().into_iter().find(|(_, of)| *of == Some(rank));
            if let Some((id, _)) = found {
                return id;
            }
            assert!(begun.elapsed() < PATIENCE, "no rank {rank}: {:#?}", self.said);
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends `signal`; whether `who` was still there.
    pub fn signal(&self, signal: &str, who: Who) -> bool {
        let id = self.process(who).to_string();
        Command::new("kill").args([signal, &id]).status().unwrap().success()
    }

    /// Waits for its end, after which nothing of it may be there.
    ///
    /// # Panics
    /// Where it does not end, or leaves processes.
    pub fn end(mut self) -> Over {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            self.said.extend(self.lines.try_iter());
            assert!(begun.elapsed() < PATIENCE, "it does not end: {:#?}", self.said);
            thread::sleep(Duration::from_millis(5));
        };
        let ended = Instant::now();
        let left = loop {
            let left = self.processes();
            if left.is_empty() || ended.elapsed() > GONE {
                break left;
            }
            thread::sleep(Duration::from_millis(20));
        };
        assert!(left.is_empty(), "processes that stay: {left:?}");
        loop {
            match self.lines.recv_timeout(GONE) {
                Ok(line) => self.said.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(e) => panic!("its pipe stays open: {e}"),
            }
        }
        let code = status.code().or(status.signal().map(|signal| -signal)).unwrap();
        Over { code, said: std::mem::take(&mut self.said) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Those that have ended already are what is wanted.
        self.child.kill().ok();
        self.child.wait().ok();
        for id in self.processes().into_keys() {
            Command::new("kill").args(["-9", &id.to_string()]).status().ok();
        }
    }
}

impl Over {
    /// # Panics
    /// Unless its exit code is `code`.
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{:#?}", self.said);
        self
    }

    /// # Panics
    /// Unless a line has all of `texts`.
    pub fn says(&self, texts: &[&str]) -> &Self {
        let all = |line: &&String| texts.iter().all(|text| line.contains(text));
        assert!(
            self.said.iter().any(|line| all(&line)),
            "no line with {texts:?}: {:#?}",
            self.said
        );
        self
    }

    /// Step of the last save that was told.
    pub fn acknowledged(&self) -> u64 {
        let step = |line: &String| line.strip_prefix("saved ")?.split("ckpt-").nth(1)?.parse().ok();
        self.said.iter().filter_map(step).max().unwrap_or(0)
    }
}
