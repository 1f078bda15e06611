//! A temporary folder, and the program run in it.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::needs::{GPU, missing};
use crate::paths;

/// Working folder of a program that has its home in there too.
pub struct Folder(TempDir);

/// What a run of the program left.
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Folder {
    pub fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    /// A folder for a test that needs an adapter; `None` with a line on stderr where there is none.
    ///
    /// # Panics
    /// Where there is no adapter and `SECATEUR_REQUIRE_GPU=1`.
    pub fn with_gpu() -> Option<Self> {
        static MISSING: OnceLock<Option<String>> = OnceLock::new();
        let reason = MISSING.get_or_init(|| {
            let run = Self::new().run("devices --json");
            let none = run.err.contains("no GPU adapter found");
            assert!(run.code == 0 || none, "secateur devices: {}", run.err);
            none.then(|| run.err.trim().to_owned())
        });
        let Some(reason) = reason else { return Some(Self::new()) };
        missing(GPU, reason);
        None
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program with `args`, parted by spaces.
    pub fn command(&self, args: &str) -> Command {
        self.command_in(Command::new(paths::program()), args)
    }

    /// The same, but SIGHUP ends it (`default`) or not (`ignore`), whatever it does to the tests.
    #[cfg(unix)]
    pub fn with_hangups(&self, handling: &str, args: &str) -> Command {
        let mut command = Command::new("env");
        command.arg(format!("--{handling}-signal=HUP")).arg(paths::program());
        self.command_in(command, args)
    }

    fn command_in(&self, mut command: Command, args: &str) -> Command {
        let (home, cache) = (self.path("home"), paths::cache());
        command.args(args.split_whitespace()).current_dir(&self.0);
        command.env("HOME", &home).env("USERPROFILE", &home).env("APPDATA", &home);
        command.env("XDG_CACHE_HOME", &cache).env("LOCALAPPDATA", &cache);
        command
    }

    pub fn run(&self, args: &str) -> Run {
        Run::of(&mut self.command(args))
    }

    /// A golden model's settings and weights, in a folder of its name.
    pub fn copy_model(&self, name: &str) {
        let from = paths::project().join("tests/goldens/models").join(name);
        fs::create_dir(self.path(name)).expect("a folder");
        for file in ["config.json", "model.safetensors"] {
            fs::copy(from.join(file), self.path(name).join(file)).expect("a copy");
        }
    }

    /// Bytes of a file.
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(name), contents).unwrap_or_else(|e| panic!("{name}: {e}"));
    }

    /// Sorted names in a folder.
    pub fn list(&self, name: &str) -> Vec<String> {
        let names = |path: &Path| {
            let mut names: Vec<String> = fs::read_dir(path)?
                .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
                .collect::<std::io::Result<_>>()?;
            names.sort();
            Ok::<_, std::io::Error>(names)
        };
        names(&self.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
    }
}

impl Run {
    pub fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().expect("the program starts");
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Self { code: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
    }

    /// # Panics
    /// Unless the run ended with 0.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.err);
        self
    }

    /// Standard output as one JSON object on one line; the run must have ended with 0.
    pub fn json(self) -> Value {
        let run = self.ok();
        let value: Value = serde_json::from_str(&run.out).expect("one JSON value and nothing else");
        assert!(value.is_object() && run.out.trim_end().lines().count() == 1, "{}", run.out);
        value
    }

    /// # Panics
    /// Unless the run ended with `code`, with nothing on standard output and each of `parts` in
    /// its message.
    pub fn fails(self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "stderr: {}", self.err);
        assert_eq!(self.out, "", "standard output is for results");
        for part in parts {
            assert!(self.err.contains(part), "`{part}` is not in: {}", self.err);
        }
    }
}
