//! What a card could reach at most, without the card: every launch of a plan, its text executed
//! from naga's IR for a few workgroups and counted, against public figures of the card.
//!
//! Nothing here is measured, and no time is a forecast: a launch takes at least this long, by what
//! its text asks for. What a compiler moves or leaves out, caches, clocks that drop, and workgroups
//! that get in each other's way are not in it.
mod cards;
mod launches;
mod limits;
mod machine;
mod subjects;

use serde::Serialize;

pub use cards::{CARDS, Card};
pub use launches::{Modelled, modelled};
pub use limits::{LAUNCH, Least, Limit};
pub use machine::{Asked, Contents, Counts, LATENCY, SLOTS, WARP};
pub use subjects::{Subject, subjects};

use crate::Result;
use crate::gpu::{Precision, Target};

/// A workload on a card.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ModelRow {
    /// Workload and size.
    pub name: String,
    /// What figures a unit are a unit of.
    pub per: &'static str,
    /// How many of these it has.
    pub units: f64,
    /// Launches.
    pub launches: usize,
    /// The least time of all of them, one after the other.
    pub seconds: f64,
    /// What the card would take for the work that cannot be done without, over that.
    pub share: f64,
    /// The kernels, in order of their first launch.
    pub kernels: Vec<KernelRow>,
}

/// Launches of a kernel in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct KernelRow {
    /// What they do.
    #[serde(flatten)]
    pub modelled: Modelled,
    /// How long one takes at least.
    #[serde(flatten)]
    pub least: Least,
    /// Bytes that workgroups load from global memory, each once a workgroup, for each unit of the
    /// workload.
    pub loaded_bytes: f64,
    /// Bytes that they store there.
    pub stored_bytes: f64,
    /// Bytes between workgroup memory and lanes for each unit.
    pub shared_bytes: f64,
    /// Instructions of warps for each unit, times the lanes of a warp.
    pub instructions: f64,
    /// Operations of f32, a multiply-add as two, for each byte that workgroups load.
    pub flops_per_byte: f64,
    /// Sectors of 32 bytes that a warp's load touches.
    pub sectors_per_load: f64,
    /// Registers of a lane.
    pub registers: f64,
}

/// What plans for `card` count on, in f32 or else in mixed precision.
pub fn target(card: &Card, mixed: bool) -> Target {
    let precision = if mixed { Precision::Mixed } else { Precision::F32 };
    let cooperative = card.matrix_side.filter(|_| mixed);
    // As `Gpu` says them of such adapters: see `gpu/cut.rs`.
    let most_operations = Some(if card.discrete { 50_000_000_000 } else { 5_000_000_000 });
    let subgroup = Some(WARP as u32);
    // What drivers let a workgroup have of it.
    let workgroup_bytes = card.workgroup_bytes.min(48 << 10);
    let defaults = Target::default();
    Target { precision, cooperative, subgroup, workgroup_bytes, most_operations, ..defaults }
}

/// The model of `subject` on `card`.
///
/// # Errors
/// What plans refuse, and [`Error::Plan`](crate::Error::Plan) for a text that the model does not
/// know.
pub fn model(subject: &Subject, card: &Card) -> Result<ModelRow> {
    let (plan, phase) = (subject.planned)(target(card, subject.mixed))?;
    let (per, units) = subject.per;
    let launches = modelled(&plan, phase, subject.contents)?;
    let kernels = launches.into_iter().map(|m| KernelRow::new(m, units, card)).collect::<Vec<_>>();
    let seconds = |k: &KernelRow| k.modelled.launches as f64 * (k.least.most() + LAUNCH);
    let seconds = kernels.iter().map(seconds).sum();
    let rate = match card.matrix_flops {
        Some(rate) if subject.mixed => rate,
        _ => card.flops,
    };
    let ideal = (subject.work.flops / rate).max(subject.work.bytes / card.bytes_per_second);
    Ok(ModelRow {
        name: subject.name.clone(),
        per,
        units,
        launches: kernels.iter().map(|k| k.modelled.launches).sum(),
        seconds,
        share: ideal / seconds,
        kernels,
    })
}

impl KernelRow {
    fn new(modelled: Modelled, units: f64, card: &Card) -> Self {
        let of = modelled.of_workgroup;
        let all = modelled.workgroups * modelled.launches as f64;
        let loaded = 32.0 * of.unique_sectors;
        let made = of.multiply_adds + of.matrix_multiply_adds;
        let flops = 2.0 * made + of.floats + of.specials;
        Self {
            least: modelled.least(card),
            loaded_bytes: loaded * all / units,
            stored_bytes: 32.0 * of.stored_sectors * all / units,
            shared_bytes: of.shared_bytes * all / units,
            instructions: of.slots * WARP as f64 * all / units,
            flops_per_byte: flops / loaded.max(1.0),
            sectors_per_load: of.load_sectors / of.load_requests.max(1.0),
            registers: modelled.registers(),
            modelled,
        }
    }
}
