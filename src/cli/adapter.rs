//! The adapter by options.
use anyhow::Result;
use secateur::error::Bytes;
use secateur::gpu::{Gpu, GpuOptions};

use super::args::Common;

/// The adapter that the environment and the options ask for.
pub fn gpu(common: &Common) -> Result<Gpu> {
    Ok(Gpu::open(&options(common)?)?)
}

pub fn options(common: &Common) -> Result<GpuOptions> {
    let mut options = GpuOptions::from_env()?;
    if common.adapter.is_some() {
        options.adapter.clone_from(&common.adapter);
    }
    options.memory_budget =
        common.memory_budget.map(|Bytes(bytes)| bytes).or(options.memory_budget);
    options.precision = common.precision.unwrap_or(options.precision);
    Ok(options)
}
