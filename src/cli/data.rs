//! Data sets by name, and the adapter by options.
use std::path::Path;

use anyhow::{Result, bail};
use secateur::data::{Split, digits, idx_folder};
use secateur::gpu::{Gpu, GpuOptions};

use super::args::Common;

/// `digits`, `mnist:DIR` or `fashion-mnist:DIR`.
pub fn open(name: &str) -> Result<Split> {
    match name.split_once(':') {
        None if name == "digits" => Ok(digits()),
        Some((set @ ("mnist" | "fashion-mnist"), dir)) if !dir.is_empty() => {
            Ok(idx_folder(Path::new(dir), set)?)
        }
        _ => bail!("--data `{name}` is not one of digits, mnist:DIR, fashion-mnist:DIR"),
    }
}

/// The adapter that the environment and the options ask for.
pub fn gpu(common: &Common) -> Result<Gpu> {
    Ok(Gpu::open(&options(common)?)?)
}

pub fn options(common: &Common) -> Result<GpuOptions> {
    let mut options = GpuOptions::from_env()?;
    if common.adapter.is_some() {
        options.adapter.clone_from(&common.adapter);
    }
    Ok(options)
}
