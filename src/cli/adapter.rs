//! The adapter by options.
use anyhow::Result;
use secateur::error::Bytes;
use secateur::gpu::{Gpu, GpuOptions, Which};

use super::args::Common;
use super::ranks::Ranks;

/// The adapter that the environment and the options ask for.
pub fn gpu(common: &Common) -> Result<Gpu> {
    Ok(Gpu::open(&options(common)?)?)
}

/// That of one of several ranks: where nothing else is asked for, one of its own.
pub fn of_rank(common: &Common, ranks: &Ranks) -> Result<Gpu> {
    let mut options = options(common)?;
    if let (Which::Best, Some(rank)) = (options.which, ranks.local_rank()) {
        options.which = Which::LocalRank(rank);
    }
    Ok(Gpu::open(&options)?)
}

pub fn options(common: &Common) -> Result<GpuOptions> {
    let mut options = GpuOptions::from_env()?;
    if common.adapter.is_some() {
        options.adapter.clone_from(&common.adapter);
    }
    options.which = common.adapter_index.map_or(options.which, Which::Index);
    options.memory_budget =
        common.memory_budget.map(|Bytes(bytes)| bytes).or(options.memory_budget);
    options.precision = common.precision.unwrap_or(options.precision);
    Ok(options)
}
