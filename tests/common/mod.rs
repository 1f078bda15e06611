//! What the GPU tests share: one device, a rig that guards every slot, tolerances and noise.
mod noise;
mod rig;
mod roundings;
mod tolerance;

use std::io::Write;
use std::sync::OnceLock;

use secateur::Error;
use secateur::gpu::{Gpu, GpuOptions, Target};

pub use noise::Noise;
pub use rig::{Bench, Rig};
pub use roundings::{Roundings, bounds, bounds_of};
pub use tolerance::{Tol, U};

/// The process's one device; `None` with a line on stderr where there is no adapter.
///
/// # Panics
/// Where there is no adapter and `SECATEUR_REQUIRE_GPU=1`, and on every other failure to open one.
pub fn gpu() -> Option<&'static Gpu> {
    static GPU: OnceLock<Option<Gpu>> = OnceLock::new();
    GPU.get_or_init(open).as_ref()
}

/// Runs `work` for each target whose variants run on `gpu`: all must give the same bits.
pub fn every_target<T: PartialEq>(gpu: &Gpu, work: impl Fn(Target) -> T) -> T {
    let (any, own) = (Target::default(), gpu.target());
    let first = work(any);
    let software = Target { software: true, ..any };
    for other in [software, own].into_iter().filter(|t| *t != any) {
        assert!(work(other) == first, "{other:?} gives other bits than {any:?}");
    }
    first
}

fn open() -> Option<Gpu> {
    let required = std::env::var("SECATEUR_REQUIRE_GPU").is_ok_and(|v| v == "1");
    let options = GpuOptions::from_env().unwrap_or_else(|e| panic!("{e}"));
    match Gpu::open(&GpuOptions { cache_dir: None, ..options }) {
        Ok(gpu) => {
            let report = gpu.report();
            say(&format!("adapter: {} ({}), {}", report.name, report.backend, report.driver));
            Some(gpu)
        }
        Err(e @ Error::NoAdapter { .. }) if !required => {
            say(&format!("SKIPPED: {e}"));
            None
        }
        Err(e) => panic!("{e}"),
    }
}

/// Past the test harness, which hides what a passing test prints through `eprintln!`.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("stderr takes a line");
}
