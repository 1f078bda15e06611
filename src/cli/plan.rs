//! `secateur train --plan`: what a recipe launches and takes on a device, without one.
use anyhow::Result;
use secateur::error::Bytes;
use secateur::gpu::{Memory, PlanBuilder, Target, Which, adapters};
use secateur::prune::MaskUpdateOp;
use secateur::session;
use serde::Serialize;

use super::args::Common;
use super::recipe::Asked;
use super::{Verdict, adapter, output};

/// Bytes on the device, as `--json` prints them.
#[derive(Debug, Serialize)]
pub struct MemoryReport {
    peak: u64,
    persistent: u64,
    scratch: u64,
    /// What scratch would take without sharing.
    unshared: u64,
    staging: u64,
}

impl From<Memory> for MemoryReport {
    fn from(memory: Memory) -> Self {
        let Memory { persistent, scratch, unshared, staging } = memory;
        Self { peak: memory.peak(), persistent, scratch, unshared, staging }
    }
}

#[derive(Debug, Serialize)]
struct Report {
    /// What it is for; null for any device.
    adapter: Option<String>,
    memory: MemoryReport,
    /// Of a teacher's states.
    #[serde(skip_serializing_if = "Option::is_none")]
    host_bytes: Option<u64>,
    plan: String,
}

/// Bytes on the device, as people read them.
pub fn said(memory: &Memory) -> String {
    let [peak, persistent, scratch, staging] =
        [memory.peak(), memory.persistent, memory.scratch, memory.staging].map(Bytes);
    format!("{peak} on the device: {persistent} kept, {scratch} scratch, {staging} staging")
}

/// The plan of the run that is asked for, for a device that `target` says.
pub fn of(asked: &Asked, op: &MaskUpdateOp, target: Target) -> Result<PlanBuilder> {
    let Asked { recipe, data, subject, .. } = asked;
    let network = subject.network(recipe, &data.train)?;
    Ok(match recipe.accumulate {
        0 | 1 => session::plan(&network, recipe.training(), op, target)?,
        _ => session::plan_accumulating(&network, recipe.training(), op, target)?,
    })
}

/// Prints the plan and its memory; for the adapter that is asked for by name or number, else for
/// any.
///
/// # Errors
/// What does not fit, the memory budget among it.
pub fn print(common: &Common, asked: &Asked, op: &MaskUpdateOp) -> Result<Verdict> {
    asked.recipe.training().validate()?;
    let (adapter, target) = target(common)?;
    let plan = of(asked, op, target)?;
    plan.check_budget(adapter::options(common)?.memory_budget)?;
    let memory = plan.memory();
    let host_bytes = Some(asked.subject.taught_bytes(&asked.data)?).filter(|bytes| *bytes > 0);
    if common.json {
        let (memory, plan) = (memory.into(), plan.to_string());
        output::json(&Report { adapter, memory, host_bytes, plan })?;
    } else {
        output::lines(plan.to_string().trim_end())?;
        output::line(&said(&memory))?;
        if let Some(bytes) = host_bytes.map(Bytes) {
            output::line(&format!(
                "{bytes} of host memory for what the dense model makes of the text"
            ))?;
        }
    }
    Ok(Verdict::Done)
}

/// The adapter that is asked for by name or number, and what is planned for: that, or any.
///
/// # Errors
/// Where there is none of that name or number.
pub fn target(common: &Common) -> Result<(Option<String>, Target)> {
    let options = adapter::options(common)?;
    let named = match (&options.adapter, options.which) {
        (None, Which::Best) => None,
        (wanted, which) => {
            let mut allowed = adapters(&options)?;
            allowed.retain(|a| a.index.is_some());
            let Some(at) = which.of(&allowed) else {
                let wanted: String = wanted.iter().map(|w| format!(" named like {w}")).collect();
                let which = match which {
                    Which::Index(index) => format!(" of number {index}"),
                    _ => String::new(),
                };
                anyhow::bail!("there is no adapter{which}{wanted}; see secateur devices");
            };
            Some(allowed.swap_remove(at))
        }
    };
    let precision = options.precision;
    let any = Target { precision, ..Target::default() };
    let target = named.as_ref().map_or(any, |adapter| adapter.target(precision));
    Ok((named.map(|a| a.name), target))
}
