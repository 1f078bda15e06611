//! The layer that fails, compiled once, and programs run under it.
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use secateur::{Error, Gpu, GpuOptions};
use tempfile::{NamedTempFile, TempDir};

use crate::needs::{GPU, TOOLS, missing};
use crate::paths;

const NAME: &str = "VK_LAYER_SECATEUR_vkfault";
/// A program that takes longer is stuck.
const WATCHDOG: Duration = Duration::from_secs(30);

/// The variable that requires what is missing, and what that is.
type Missing = (&'static str, String);

/// A driver that fails as it is told.
pub struct Layer(TempDir);

/// How a program ended.
pub struct Run {
    /// Exit code: 0, 2, or 72 for a device that is lost.
    pub code: i32,
    /// What it wrote to standard error, the layer's lines among it.
    pub err: String,
    /// From its start to its end.
    pub seconds: f64,
    /// Its end, in seconds since 1970.
    ended: f64,
}

impl Layer {
    /// The layer; `None` with a line on stderr where it cannot be built or there is no adapter.
    ///
    /// # Panics
    /// Where that is so and the environment requires it.
    pub fn get() -> Option<&'static Self> {
        static LAYER: OnceLock<Result<Layer, Missing>> = OnceLock::new();
        let layer = LAYER.get_or_init(Self::build).as_ref();
        layer.inspect_err(|(required, what)| missing(required, what)).ok()
    }

    fn build() -> Result<Self, Missing> {
        match Gpu::open(&GpuOptions::from_env().expect("options")) {
            Ok(gpu) if gpu.report().backend == "vulkan" => {}
            Ok(gpu) => {
                return Err((GPU, format!("the adapter is of {}", gpu.report().backend)));
            }
            Err(e @ Error::NoAdapter { .. }) => return Err((GPU, e.to_string())),
            Err(e) => panic!("{e}"),
        }
        let folder = TempDir::new().expect("a temporary folder");
        compile(&folder.path().join("libvkfault.so")).map_err(|what| (TOOLS, what))?;
        let manifest = serde_json::json!({
            "file_format_version": "1.1.2",
            "layer": {
                "name": NAME,
                "type": "GLOBAL",
                "library_path": "./libvkfault.so",
                "api_version": "1.3.0",
                "implementation_version": "1",
                "description": "a driver that fails",
            },
        });
        fs::write(folder.path().join("vkfault.json"), manifest.to_string()).expect("a file");
        Ok(Self(folder))
    }

    /// Runs `command` with `faults` as `vkfault.c` lists them.
    ///
    /// # Panics
    /// Unless it ends in time, by itself, and with 0 or 2.
    pub fn run(&self, mut command: Command, faults: &[(&str, u64)]) -> Run {
        let log = NamedTempFile::new_in(&self.0).expect("a file");
        let stderr = File::create(log.path()).expect("a file");
        command.env("VK_LAYER_PATH", self.0.path()).env("VK_INSTANCE_LAYERS", NAME);
        command.env("XDG_CACHE_HOME", paths::cache()).env("RUST_BACKTRACE", "0");
        command.envs(faults.iter().map(|(name, n)| (format!("VKFAULT_{name}"), n.to_string())));
        let begun = Instant::now();
        let mut child =
            command.stdout(Stdio::null()).stderr(stderr).spawn().expect("the program starts");
        let ended = loop {
            match child.try_wait().expect("a child can be waited for") {
                None if begun.elapsed() < WATCHDOG => sleep(Duration::from_millis(2)),
                ended => break ended,
            }
        };
        let seconds = begun.elapsed().as_secs_f64();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        if ended.is_none() {
            child.kill().expect("a child can be killed");
            child.wait().expect("a child can be waited for");
        }
        let err = String::from_utf8_lossy(&fs::read(log.path()).expect("its log")).into_owned();
        let code = ended.and_then(|status| status.code());
        assert!(matches!(code, Some(0 | 2 | 72)), "{faults:?}: {ended:?} in {seconds} s: {err}");
        Run { code: code.unwrap_or(-1), err, seconds, ended: now.as_secs_f64() }
    }
}

impl Run {
    /// What follows `prefix` in each line that begins with it.
    pub fn lines<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.err.lines().filter_map(move |line| line.strip_prefix(prefix))
    }

    /// Number of faults that struck.
    pub fn faults(&self) -> usize {
        self.lines("vkfault: ").count()
    }

    /// Seconds from the first fault to the next start of a run.
    pub fn recovery(&self) -> f64 {
        self.time("start: ", self.lines("start: ").count() - 1) - self.time("vkfault: ", 0)
    }

    /// Seconds from the first fault to the program's end.
    pub fn fatality(&self) -> f64 {
        self.ended - self.time("vkfault: ", 0)
    }

    /// The time that begins the line of number `index` among those that begin with `prefix`.
    fn time(&self, prefix: &str, index: usize) -> f64 {
        let first = self.lines(prefix).nth(index).and_then(|line| line.split(' ').next());
        first.and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("no time: {}", self.err))
    }

    /// What it ended with; the exit code must say so too.
    pub fn error(&self) -> &str {
        let error = self.lines("secateur: ").last();
        let error = error.unwrap_or_else(|| panic!("no error: {}", self.err));
        let code = if error.contains("device lost") { 72 } else { 2 };
        assert_eq!(self.code, code, "{}", self.err);
        error
    }
}

fn compile(library: &Path) -> Result<(), String> {
    let source = paths::project().join("tests/device_faults/vkfault.c");
    // Beside packed tests, which may be where there is no compiler.
    if fs::copy(source.with_extension("so"), library).is_ok() {
        return Ok(());
    }
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-fvisibility=hidden", "-pthread", "-Wall", "-Wextra", "-Werror"]);
    let output = cc.arg(source).arg("-o").arg(library).output();
    let output = output.map_err(|e| format!("no C compiler `cc` for the failing driver: {e}"))?;
    let err = String::from_utf8_lossy(&output.stderr);
    if err.contains("vulkan/vulkan.h: No such file") {
        return Err("no Vulkan headers for the failing driver; install libvulkan-dev".to_owned());
    }
    assert!(output.status.success(), "{err}");
    Ok(())
}
