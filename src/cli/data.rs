//! Data sets by name, and the adapter by options.
use std::path::Path;

use anyhow::{Result, bail};
use secateur::data::{Split, cifar10, digits, idx_folder, text};
use secateur::error::Bytes;
use secateur::gpu::{Gpu, GpuOptions};

use super::args::Common;

/// Characters in a window of a text, where nothing says how many.
pub const LENGTH: usize = 64;

/// `digits`, `mnist:DIR`, `fashion-mnist:DIR`, `cifar10:DIR`, or `text:FILE` in windows of `length`
/// characters.
pub fn open(name: &str, length: usize) -> Result<Split> {
    match name.split_once(':') {
        None if name == "digits" => Ok(digits()),
        Some((set @ ("mnist" | "fashion-mnist"), dir)) if !dir.is_empty() => {
            Ok(idx_folder(Path::new(dir), set)?)
        }
        Some(("cifar10", path)) if !path.is_empty() => Ok(cifar10(Path::new(path))?),
        Some(("text", path)) if !path.is_empty() => Ok(text(Path::new(path), length)?),
        _ => bail!(
            "--data `{name}` is not one of digits, mnist:DIR, fashion-mnist:DIR, cifar10:DIR, \
             text:FILE"
        ),
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
    options.memory_budget =
        common.memory_budget.map(|Bytes(bytes)| bytes).or(options.memory_budget);
    Ok(options)
}
