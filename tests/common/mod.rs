//! What the GPU tests share: one device, a rig that guards every slot, tolerances and noise.
mod noise;
mod rig;
mod roundings;
mod tolerance;

use std::sync::OnceLock;

use secateur::Error;
use secateur::gpu::{Choices, Gpu, GpuOptions, Precision, Target};

use crate::needs::{FEATURES, GPU, HALVES, is_set, missing, say};

pub use noise::Noise;
pub use rig::{Bench, Rig};
pub use roundings::{Roundings, bounds, bounds_of};
pub use tolerance::{Tol, U};

/// The process's one device; `None` with a line on stderr where there is no adapter.
///
/// # Panics
/// Where there is no adapter and `SECATEUR_REQUIRE_GPU=1`, and on every other failure to open one.
pub fn gpu() -> Option<&'static Gpu> {
    static OPENED: OnceLock<Option<Gpu>> = OnceLock::new();
    OPENED.get_or_init(|| open(Precision::F32)).as_ref()
}

/// The process's one device where it has 16-bit floats.
pub fn half_gpu() -> Option<&'static Gpu> {
    let report = gpu()?.report();
    if !report.f16 {
        let required = if is_set(HALVES) { HALVES } else { FEATURES };
        missing(required, format_args!("{} has no 16-bit floats", report.name));
        return None;
    }
    gpu()
}

/// A device whose products read halves; `None` with a line on stderr where the adapter has no
/// 16-bit floats.
pub fn mixed_gpu() -> Option<&'static Gpu> {
    static OPENED: OnceLock<Option<Gpu>> = OnceLock::new();
    half_gpu()?;
    OPENED.get_or_init(|| open(Precision::Mixed)).as_ref()
}

/// The same where they do so on cooperative matrices.
pub fn cooperative_gpu() -> Option<&'static Gpu> {
    let gpu = mixed_gpu()?;
    if gpu.target().cooperative.is_none() {
        missing(FEATURES, format_args!("{} has no cooperative matrices", gpu.report().name));
        return None;
    }
    Some(gpu)
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

/// The same where GPUs split the terms of products and software adapters do not: all targets of a
/// kind must give the same bits. Software's results, then those of GPUs.
pub fn each_kind<T: PartialEq>(gpu: &Gpu, work: impl Fn(Target) -> T) -> [T; 2] {
    let (any, own) = (Target::default(), gpu.target());
    let software = Target { software: true, ..any };
    let of_software = work(software);
    if own.software && own != software {
        assert!(work(own) == of_software, "{own:?} gives other bits than {software:?}");
    }
    let of_gpus = work(any);
    for other in gpu_targets(gpu).into_iter().filter(|t| *t != any) {
        assert!(work(other) == of_gpus, "{other:?} gives other bits than {any:?}");
    }
    [of_software, of_gpus]
}

/// Targets of GPUs whose products run on `gpu` in tilings that its compiler is fast with, whatever
/// kind of adapter it is; and its own, where it is a GPU.
pub fn gpu_targets(gpu: &Gpu) -> Vec<Target> {
    let (any, own) = (Target::default(), gpu.target());
    let choosing = |name: &str| {
        let mut choices = Choices::default();
        assert!((0..Choices::PLACES).all(|place| choices.set(place, name)));
        Target { choices, subgroup: own.subgroup, ..any }
    };
    let mut all = vec![choosing("blocks")];
    // Where there are no such subgroups it is what stands without a choice, tiles.
    all.extend((own.subgroup == Some(8)).then(|| choosing("lanes")));
    all.extend((!own.software).then_some(own));
    all
}

/// As [`every_target`] without tiles where they are not the adapter's own, for what is done in code that all
/// variants share: a software adapter's compiler takes some 4 s for each pipeline of tiles.
pub fn shared_targets<T: PartialEq>(gpu: &Gpu, work: impl Fn(Target) -> T) -> T {
    let own = work(gpu.target());
    let software = Target { software: true, ..Target::default() };
    assert!(work(software) == own, "{software:?} gives other bits than the adapter's own");
    own
}

fn open(precision: Precision) -> Option<Gpu> {
    let options = GpuOptions::from_env().unwrap_or_else(|e| panic!("{e}"));
    let options = options.cache_dir(None).precision(precision).untested_matrices(true);
    match Gpu::open(&options) {
        Ok(gpu) => {
            let report = gpu.report();
            say(&format!("adapter: {} ({}), {}", report.name, report.backend, report.driver));
            Some(gpu)
        }
        Err(e @ Error::NoAdapter { .. }) => {
            missing(GPU, e);
            None
        }
        Err(e) => panic!("{e}"),
    }
}
