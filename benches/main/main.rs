//! Workloads: one dense product of each form that training needs; one train step of the classic
//! LeNet-300-100, of convolutions, an LSTM and a transformer on made-up data (see `train_step`); the
//! selection of 90 % of 10^5 to 10^7 weights; whole mask updates
//! of 10^6 weights by each score and pattern (see `mask_update`); what the host pays to replay a plan;
//! what a checkpoint costs (see `checkpoint`); what a process costs before its first step is done (see
//! `cold_start`); and, as control, the sum of two vectors of 2^20 elements (12 MiB moved), which
//! depends on nothing that this crate could do better.
//!
//! Measured is wall time on the host. `matmul`, `mask update` and `control` submit once and wait
//! once per iteration; `train step` is a run of `train` from its second step to its end, with up to
//! three steps in flight; `plan replay` encodes and submits 40 launches and waits for them outside
//! of the measured time, its row `CPU` is the same on the clock of the thread that does it; `cold
//! start` begins before a process is spawned.
//!
//! How each can mislead: each submission and wait has a fixed cost, so small work looks slower than
//! it is within a long submission; `mask update` ranks evenly spread weights, trained ones crowd
//! around 0; `train step` shuffles and uploads its batches, as training does; `masked` are steps
//! between mask updates, whose cost is a row of its own; `plan replay` is the host's part alone, and
//! the device may take longer; a software adapter begins while the host still submits, on the same
//! cores, which its row `CPU` leaves out. `cold start` with empty caches still finds the driver's
//! files in the system's memory. A software adapter shares its cores with the host and with whatever
//! else runs, and clocks of real GPUs rise under load: compare rows of one run on one adapter, and
//! two runs only where their controls agree.
//!
//! `cargo bench` measures; `cargo test --benches` runs each benchmark once at a tiny size.
mod checkpoint;
mod cold_start;
mod mask_update;
mod train_step;

use std::io::Write;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use secateur::gpu::{Encoder, Kernel, Phase, PlanBuilder, Program, Slot};
use secateur::kernels::{
    Activation, Add, Form, MASK_STATE_WORDS, Matmul, Ranked, Selection, TOPK_STATE_WORDS,
    mask_words,
};
use secateur::{Error, Gpu, GpuOptions, Result};

fn main() -> Result<()> {
    if let Some(tiny) = cold_start::child() {
        return cold_start::first_step(tiny);
    }
    let gpu = match Gpu::open(&GpuOptions::from_env()?) {
        Err(e @ Error::NoAdapter { .. }) => {
            writeln!(std::io::stderr(), "SKIPPED: {e}").ok();
            return Ok(());
        }
        opened => opened?,
    };
    let report = gpu.report();
    println!("adapter: {} ({}), driver: {}", report.name, report.backend, report.driver);
    // Cargo says `--bench` only when it is to be measured; criterion goes by that as well.
    let tiny = !std::env::args().any(|arg| arg == "--bench");
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    control(&mut criterion, &gpu, if tiny { 1 << 10 } else { 1 << 20 })?;
    matmul(&mut criterion, &gpu, if tiny { &[16] } else { &[512, 1024] })?;
    let lengths: &[u32] = if tiny { &[1000] } else { &[100_000, 1_000_000, 10_000_000] };
    selection(&mut criterion, &gpu, lengths)?;
    let [rows, columns] = if tiny { [33, 7] } else { [1000, 1000] };
    mask_update::mask_update(&mut criterion, &gpu, rows, columns)?;
    plan_replay(&mut criterion, &gpu)?;
    cold_start::cold_start(&mut criterion, tiny);
    train_step::train_step(&mut criterion, &gpu, tiny)?;
    // 266,200 and 10,014,720 weights.
    let (small, large): (&[u32], &[u32]) = (&[300, 100], &[2048, 2048, 2048]);
    let small = ("270K", if tiny { &[8][..] } else { small });
    let models = [small, ("10M", if tiny { &[9] } else { large })];
    checkpoint::checkpoint(&mut criterion, &gpu, &models)?;
    criterion.final_summary();
    Ok(())
}

/// A program with one phase.
struct Plan<'g> {
    gpu: &'g Gpu,
    program: Program,
    phase: Phase,
}

impl<'g> Plan<'g> {
    /// Launches of `push`, on slots that it declares.
    fn new(gpu: &'g Gpu, push: impl FnOnce(&mut PlanBuilder) -> Result<()>) -> Result<Self> {
        let mut plan = PlanBuilder::default();
        let phase = plan.phase("bench");
        push(&mut plan)?;
        Ok(Self { gpu, program: plan.build(gpu)?, phase })
    }

    fn submit(&self) {
        let mut encoder = Encoder::new(self.gpu);
        self.program.encode(self.phase, &mut encoder);
        encoder.submit().unwrap_or_else(|e| panic!("{e}"));
    }

    fn wait(&self) {
        self.gpu.wait().unwrap_or_else(|e| panic!("{e}"));
    }

    /// One submission and one wait per iteration.
    fn bench(&self, group: &mut BenchmarkGroup<'_, WallTime>, id: BenchmarkId) {
        group.bench_function(id, |b| {
            b.iter(|| {
                self.submit();
                self.wait();
            });
        });
    }
}

/// Values in -1..1 without a pattern that a selection could profit from.
fn noise(len: u32) -> Vec<f32> {
    let hash = |i: u32| i.wrapping_mul(0x9e37_79b9).rotate_left(15).wrapping_mul(0x85eb_ca6b);
    (0..len).map(|i| (hash(i) >> 8) as f32 / (1 << 23) as f32 - 1.0).collect()
}

fn add(plan: &mut PlanBuilder, len: u32) -> Add {
    let [x, y, out] = ["x", "y", "out"].map(|name| plan.persistent(name, len));
    Add { x, y, out, len, period: len }
}

fn control(criterion: &mut Criterion, gpu: &Gpu, len: u32) -> Result<()> {
    let mut group = criterion.benchmark_group("control");
    group.throughput(Throughput::Bytes(3 * 4 * u64::from(len)));
    let plan = Plan::new(gpu, |plan| {
        let add = add(plan, len);
        plan.push(add)
    })?;
    plan.bench(&mut group, BenchmarkId::new(Add::NAME, len));
    group.finish();
    Ok(())
}

/// Throughput in floating-point operations: 2 n^3.
fn matmul(criterion: &mut Criterion, gpu: &Gpu, sizes: &[u32]) -> Result<()> {
    let mut group = criterion.benchmark_group("matmul");
    for &n in sizes {
        group.throughput(Throughput::Elements(2 * u64::from(n).pow(3)));
        for form in [Form::NN, Form::NT, Form::TN] {
            let mut inputs = [None; 2];
            let plan = Plan::new(gpu, |plan| {
                let [a, b, c] = ["a", "b", "c"].map(|name| plan.persistent(name, n * n));
                inputs = [Some(a), Some(b)];
                let (activation, mask, bias, gate) = (Activation::Identity, None, None, None);
                Matmul { form, a, b, mask, bias, activation, gate, c, m: n, n, k: n, begin: [0; 2] }
                    .push(plan)
            })?;
            for slot in inputs.into_iter().flatten() {
                plan.program.upload(gpu, slot, &noise(n * n));
            }
            plan.bench(&mut group, BenchmarkId::new(format!("{form:?}"), n));
        }
    }
    group.finish();
    Ok(())
}

/// The selection of 90 % of the weights, with its mask written; throughput in weights.
fn selection(criterion: &mut Criterion, gpu: &Gpu, lengths: &[u32]) -> Result<()> {
    let mut group = criterion.benchmark_group("mask update");
    for &len in lengths {
        group.throughput(Throughput::Elements(len.into()));
        let mut inputs: Option<(Slot, Slot)> = None;
        let plan = Plan::new(gpu, |plan| {
            let (weights, counts) = (plan.persistent("weights", len), plan.persistent("counts", 1));
            inputs = Some((weights, counts));
            let histogram = plan.persistent("histogram", Selection::HISTOGRAM_WORDS);
            let state = plan.persistent("state", TOPK_STATE_WORDS);
            let mask_state = plan.persistent("mask_state", MASK_STATE_WORDS);
            let mask = plan.persistent("mask", mask_words(len));
            let tensor =
                Ranked { values: weights, protect: None, scores: true, mask_state, mask, len };
            Selection { counts, selection: 0, histogram, state }.push(plan, "w", &[tensor])
        })?;
        if let Some((weights, counts)) = inputs {
            plan.program.upload(gpu, weights, &noise(len));
            plan.program.upload(gpu, counts, &[len / 10 * 9]);
        }
        plan.bench(&mut group, BenchmarkId::from_parameter(len));
    }
    group.finish();
    Ok(())
}

/// Host time per launch of a submission of 40 small ones.
fn plan_replay(criterion: &mut Criterion, gpu: &Gpu) -> Result<()> {
    const LAUNCHES: u32 = 40;
    let mut group = criterion.benchmark_group("plan replay");
    group.throughput(Throughput::Elements(LAUNCHES.into()));
    let plan = Plan::new(gpu, |plan| {
        let add = add(plan, 64);
        (0..LAUNCHES).try_for_each(|_| plan.push(add))
    })?;
    let mut row = |id, clock: fn() -> Duration| {
        group.bench_function(BenchmarkId::new(id, LAUNCHES), |b| {
            b.iter_custom(|iterations| {
                (0..iterations)
                    .map(|_| {
                        let begin = clock();
                        plan.submit();
                        let taken = clock() - begin;
                        plan.wait();
                        taken
                    })
                    .sum()
            });
        });
    };
    row("launches", wall);
    #[cfg(target_os = "linux")]
    row("launches, CPU", cpu);
    group.finish();
    Ok(())
}

fn wall() -> Duration {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    ORIGIN.get_or_init(Instant::now).elapsed()
}

/// What this thread has taken of the processor.
#[cfg(target_os = "linux")]
fn cpu() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::ThreadCPUTime).try_into().expect("a clock that starts at 0")
}
