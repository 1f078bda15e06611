//! Compiled pipelines on disk, one file per adapter and driver. A cache never makes a run fail.
use std::fs;
use std::path::PathBuf;

use xxhash_rust::xxh3::xxh3_64;

use super::adapter::AdapterReport;
use super::trusted;
use crate::storage::replace;

/// A pipeline cache and the file it came from.
#[derive(Debug)]
pub(super) struct DiskCache {
    cache: wgpu::PipelineCache,
    path: PathBuf,
    /// Checksum of the data on disk, so that an unchanged cache is not written again.
    stored: Option<u64>,
}

impl DiskCache {
    /// Reads the cache for this adapter and driver; a damaged file counts as none.
    pub(super) fn open(device: &wgpu::Device, dir: PathBuf, report: &AdapterReport) -> Self {
        let path = dir.join(format!("pipelines-{}.bin", report.key()));
        let data = fs::read(&path).ok().and_then(|file| {
            let (sum, data) = file.split_first_chunk::<8>()?;
            (u64::from_le_bytes(*sum) == xxh3_64(data)).then(|| data.to_vec())
        });
        let cache = trusted::pipeline_cache(device, data.as_deref());
        Self { cache, path, stored: data.map(|d| xxh3_64(&d)) }
    }

    pub(super) fn handle(&self) -> &wgpu::PipelineCache {
        &self.cache
    }

    /// Writes what the driver has compiled since, through a temporary file.
    pub(super) fn store(&mut self) {
        let Some(data) = self.cache.get_data() else { return };
        let sum = xxh3_64(&data);
        if self.stored == Some(sum) {
            return;
        }
        let file = [&sum.to_le_bytes()[..], &data].concat();
        let written = self.path.parent().map_or(Ok(()), fs::create_dir_all).is_ok()
            && replace(&self.path, &file).is_ok();
        if written {
            self.stored = Some(sum);
        }
    }
}
