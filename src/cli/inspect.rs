//! `secateur inspect`
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use secateur::checkpoint::{self, Checkpoint, MODEL_FILE, Manifest};
use secateur::graph::MASK;
use secateur::prune::mask_picture;
use secateur::storage::TensorData;
use secateur::storage::{Header, TensorInfo, nonzero};
use serde::Serialize;

use super::args::Inspect;
use super::{Verdict, output};

/// Bytes looked at in one go.
const CHUNK: usize = 1 << 20;

#[derive(Debug, Serialize)]
struct Report {
    file: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<Manifest>,
    tensors: Vec<TensorReport>,
}

#[derive(Debug, Serialize)]
struct TensorReport {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    nonzero: u64,
    sparsity: f64,
}

pub fn run(args: &Inspect) -> Result<Verdict> {
    let is_checkpoint = args.file.is_dir();
    ensure!(
        is_checkpoint || args.pictures.is_none(),
        "--pictures takes the masks of a checkpoint; {} is a file",
        args.file.display()
    );
    let report = if is_checkpoint {
        let found = checkpoint::find(&args.file)?;
        if let Some(folder) = &args.pictures {
            pictures(&found, folder)?;
        }
        let file = found.path.join(MODEL_FILE);
        Report { tensors: tensors(&file)?, file, manifest: Some(found.manifest) }
    } else {
        Report { file: args.file.clone(), manifest: None, tensors: tensors(&args.file)? }
    };
    if args.json {
        output::json(&report)?;
        return Ok(Verdict::Done);
    }
    let row = |t: &TensorReport| {
        let nonzero = output::thousands(t.nonzero);
        let sparsity = output::percent(t.sparsity);
        vec![t.name.clone(), t.dtype.clone(), output::shape(&t.shape), nonzero, sparsity]
    };
    let rows = report.tensors.iter().map(row).collect();
    output::table(&["tensor", "dtype", "shape", "nonzero", "sparsity"], 3, rows)?;
    if let Some(m) = &report.manifest {
        let line =
            format!("{} at global step {}, seed {}, {}", m.model, m.global_step, m.seed, m.adapter);
        output::line(&line)?;
    }
    output::line(&report.file.display().to_string())?;
    Ok(Verdict::Done)
}

/// Writes a picture of each mask, named as its weight.
fn pictures(found: &Checkpoint, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for tensor in &found.model {
        let mask = found.optimizer.iter().find(|t| t.name == format!("{}/{MASK}", tensor.name));
        let Some(TensorData::U32(mask)) = mask.map(|t| &t.data) else { continue };
        let shape: Vec<u32> = tensor.shape.iter().map(|&d| d as u32).collect();
        // Names may hold what folders are parted by.
        let path = folder.join(format!("{}.png", tensor.name.replace(['/', '\\'], "_")));
        fs::write(&path, mask_picture(mask, &shape)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        output::note(path.display());
    }
    Ok(())
}

/// Every tensor of a safetensors file, read in pieces: memory does not grow with the file.
fn tensors(path: &Path) -> Result<Vec<TensorReport>> {
    let mut header = Header::open(path)?;
    let infos = header.tensors.clone();
    infos
        .into_iter()
        .map(|info| {
            let total = info.len();
            let nonzero = count(&mut header, &info)?;
            let sparsity = if total == 0 { 0.0 } else { 1.0 - nonzero as f64 / total as f64 };
            let dtype = format!("{:?}", info.dtype);
            Ok(TensorReport { name: info.name, dtype, shape: info.shape, nonzero, sparsity })
        })
        .collect::<Result<_>>()
        .with_context(|| format!("cannot count the zeros of {}", path.display()))
}

fn count(header: &mut Header, info: &TensorInfo) -> Result<u64> {
    let size = info.element_bytes();
    let dtype = info.dtype;
    ensure!(info.is_empty() || size > 0, "{dtype:?} elements are smaller than a byte");
    let mut buffer = vec![0; CHUNK - CHUNK % size.max(1)];
    let (mut offset, end, mut count) = (info.offset, info.offset + info.bytes, 0);
    while offset < end {
        let part = buffer.len().min((end - offset) as usize);
        header.read(offset, &mut buffer[..part])?;
        count += nonzero(&buffer[..part], dtype, size);
        offset += part as u64;
    }
    Ok(count)
}
