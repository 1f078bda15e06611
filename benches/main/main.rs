//! First what the adapter can do: bytes a second of a large copy, and f32 multiply-adds a second in
//! registers (the measuring of `secateur bench`). Then workloads, those whose work is counted as
//! shares of these ceilings: as control, the sum of two vectors of 2^20 elements (12 MiB moved),
//! which depends on nothing that this crate could do better; dense products of each form that
//! training needs, square and ragged; causal attention of 512 and 2,048 positions in 9 heads of 64
//! channels that share 3 of keys and values, and its gradients; sums and selections of 90 % in
//! sizes from 10^5 to 10^8; whole mask updates of 10^6 weights by each score and pattern (see
//! `mask_update`); what the host pays to replay a plan; train steps on made-up data (see
//! `train_step`): an MLP in batches of 32 to 512, the CNN of the tutorials, LeNet-5, CIFAR-10, an
//! LSTM and a transformer; what a checkpoint costs, and what loading a file costs (see
//! `checkpoint`); what a process costs before its first step is done (see `cold_start`).
//!
//! Measured is wall time on the host. `control`, `matmul`, `attention`, `add` and `mask update` are
//! replayed as training replays launches: up to 64 repetitions or 20 ms in a submission, several
//! submissions in flight. `whole mask update` submits once and waits once a repetition. `train step` is a run of
//! `train` from its second step to its end, with up to three steps in flight; `plan replay` encodes
//! and submits 40 launches and waits for them outside of the measured time, its row `CPU` is the
//! same on the clock of the thread that does it; `cold start` begins before a process is spawned.
//!
//! The share is of the time that the work takes at least: its operations at the rate of
//! multiply-adds, or the bytes of its operands, each moved once, at the copy's bandwidth, whichever
//! is longer. Attention counts two products of each query with the positions that it sees, and its
//! gradients five; a selection counts one comparison a weight, a train step its products, its
//! parameters and the optimizer's tensors.
//!
//! How each can mislead: small work looks slower than it is, as launches do not overlap; operands
//! that stay in a cache can make shares above 100 %; `mask update` ranks evenly spread weights
//! where its row says nothing else, and a group's tensors hold the same ones; `train step` shuffles
//! and uploads its batches, as training does; `masked` are steps between mask updates, whose cost
//! is a row of its own; `plan replay` is the host's part alone, and the device may take longer. A
//! software adapter shares its cores with the host and with whatever else runs, and clocks of real
//! GPUs rise under load: compare rows of one run on one adapter, and two runs only where their
//! controls agree.
//!
//! `cargo bench` measures; `cargo test --benches` runs each benchmark once at a tiny size. `cargo
//! bench -- matmul` measures the rows whose names hold that.
//!
//! With `SECATEUR_PRECISION=mixed` the products are measured over f16 too (`f16 matmul`, without
//! the copies), and train steps are of mixed precision.
//!
//! `SECATEUR_BENCH_JSON=FILE` writes the rows there too. `SECATEUR_PEER='PROGRAM ARGUMENT...'`
//! compares instead: our workload and the peer's by turns, three rounds, medians of both. The
//! program is called with one more argument, `matmul` (NN in sizes 512, 1024 and 2048), `mlp-sgd`,
//! `mlp-adam` (784-300-100-10, batch 128) or `cnn-sgd` (batch 64), and prints lines `NAME NUMBER
//! UNIT`: `matmul512_median 5.1 GFLOP/s`, `mlp_sgd_median 22.5 steps/s`; other lines are left
//! alone.
mod checkpoint;
mod cold_start;
mod mask_update;
mod peer;
mod plan;
mod rows;
#[path = "../../tests/common/shared.rs"]
mod shared;
mod train_step;

use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use criterion::Throughput;
use secateur::bench::{CausalAttention, Weights, Workload};
use secateur::gpu::Precision;
use secateur::kernels::{Add, Form};
use secateur::{Error, Gpu, GpuOptions, Result};

use plan::Plan;
use rows::Rows;

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
    if let Ok(peer) = std::env::var("SECATEUR_PEER") {
        return peer::compare(&gpu, &peer, tiny);
    }
    let mut rows = Rows::new(&gpu, tiny)?;
    let control = if tiny { 1 << 10 } else { 1 << 20 };
    rows.workload("control", &format!("add/{control}"), &Workload::Add { len: control });
    matmul(&mut rows, gpu.precision() == Precision::Mixed);
    attention(&mut rows);
    cost_over_size(&mut rows);
    let [height, width] = if tiny { [32, 7] } else { [1000, 1000] };
    mask_update::mask_update(&mut rows, height, width)?;
    plan_replay(&mut rows)?;
    cold_start::cold_start(&mut rows);
    train_step::train_step(&mut rows)?;
    // 266,200 and 10,014,720 weights.
    let (small, large): (&[u32], &[u32]) = (&[300, 100], &[2048, 2048, 2048]);
    let small = ("270K", if tiny { &[8][..] } else { small });
    let models = [small, ("10M", if tiny { &[9] } else { large })];
    checkpoint::checkpoint(&mut rows, &models);
    checkpoint::load(&mut rows, if tiny { 1 } else { 1024 });
    if let Some(path) = std::env::var_os("SECATEUR_BENCH_JSON") {
        rows.write(Path::new(&path))?;
    }
    rows.finish();
    Ok(())
}

fn matmul(rows: &mut Rows<'_>, mixed: bool) {
    let sizes: &[[u32; 3]] = match rows.tiny {
        true => &[[16; 3], [5, 3, 7]],
        false => &[[512; 3], [1024; 3], [2048; 3], [500, 333, 777], [33, 1000, 2049]],
    };
    for &size in sizes {
        let [m, n, k] = size;
        let name = if m == n && n == k { n.to_string() } else { format!("{m}x{n}x{k}") };
        for form in [Form::NN, Form::NT, Form::TN] {
            let workload = Workload::Matmul { form, size };
            rows.workload("matmul", &format!("{form:?}/{name}"), &workload);
            if mixed {
                let workload = Workload::F16Matmul { form, size };
                rows.workload("f16 matmul", &format!("{form:?}/{name}"), &workload);
            }
        }
    }
}

fn attention(rows: &mut Rows<'_>) {
    let lengths: &[u32] = if rows.tiny { &[20] } else { &[512, 2048] };
    for (group, gradients) in [("attention", false), ("attention gradients", true)] {
        for &length in lengths {
            let workload = Workload::Attention(CausalAttention::small(length, gradients));
            rows.workload(group, &length.to_string(), &workload);
        }
    }
}

fn cost_over_size(rows: &mut Rows<'_>) {
    let lengths: &[u32] = match rows.tiny {
        true => &[1000],
        false => &[100_000, 1_000_000, 10_000_000, 100_000_000],
    };
    for &len in lengths {
        rows.workload("add", &len.to_string(), &Workload::Add { len });
    }
    for &len in lengths {
        rows.workload("mask update", &len.to_string(), &Workload::mask_update(len));
    }
    let (tensors, largest) = (4, if rows.tiny { 1000 } else { 100_000_000 });
    let group = Workload::MaskUpdate { len: largest, tensors, weights: Weights::Even };
    rows.workload("mask update", &format!("{largest} in {tensors} tensors"), &group);
    let len = if rows.tiny { 1000 } else { 10_000_000 };
    for weights in [Weights::Normal, Weights::HalfZeros, Weights::Levels, Weights::Equal] {
        let workload = Workload::MaskUpdate { len, tensors: 1, weights };
        rows.workload("mask update", &format!("{len}{weights}"), &workload);
    }
}

/// Host time of a submission of 40 small launches.
fn plan_replay(rows: &mut Rows<'_>) -> Result<()> {
    const LAUNCHES: u32 = 40;
    let plan = Plan::new(rows.gpu, |plan| {
        let [x, y, out] = ["x", "y", "out"].map(|name| plan.persistent(name, 64));
        (0..LAUNCHES).try_for_each(|_| plan.push(Add { x, y, out, len: 64, period: 64 }))
    })?;
    let throughput = Some(Throughput::Elements(LAUNCHES.into()));
    let id = |clock| format!("launches{clock}/{LAUNCHES}");
    rows.row("plan replay", &id(""), throughput.clone(), |n| plan.host_time(n, wall));
    #[cfg(target_os = "linux")]
    rows.row("plan replay", &id(", CPU"), throughput, |n| plan.host_time(n, cpu));
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
