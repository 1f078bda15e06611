//! `secateur inspect`
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use secateur::checkpoint::{self, Checkpoint, MODEL_FILE, Manifest};
use secateur::graph::MASK;
use secateur::nn::Model;
use secateur::prune::mask_picture;
use secateur::storage::{Header, TensorData, TensorInfo, Weights, replace};
use secateur::train::Recipe;
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
    /// Of a run of a pretrained model, the folder that has the tensors that were not trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    began_with: Option<PathBuf>,
    /// The files that an index names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<PathBuf>,
    tensors: Vec<TensorReport>,
}

#[derive(Debug, Clone, Serialize)]
struct TensorReport {
    name: String,
    dtype: String,
    shape: Vec<usize>,
    /// None where the type's zeros are not known.
    nonzero: Option<u64>,
    sparsity: Option<f64>,
}

pub fn run(args: &Inspect) -> Result<Verdict> {
    let is_checkpoint = args.file.is_dir() && checkpoint::is_in(&args.file);
    ensure!(
        is_checkpoint || args.pictures.is_none(),
        "--pictures takes the masks of a checkpoint; {} is none",
        args.file.display()
    );
    let report = if is_checkpoint {
        let found = checkpoint::find(&args.file)?;
        if let Some(folder) = &args.pictures {
            pictures(&found, folder)?;
        }
        let file = found.path.join(MODEL_FILE);
        let (tensors, files) = (tensors(&mut Header::open(&file)?)?, Vec::new());
        let began_with = began_with(&found);
        Report { tensors, file, files, manifest: Some(found.manifest), began_with }
    } else {
        let Weights { index, mut files, .. } = Weights::open(&args.file)?;
        let all = files.iter_mut().map(tensors).collect::<Result<Vec<_>>>()?;
        let mut paths: Vec<PathBuf> = files.into_iter().map(|header| header.path).collect();
        let (file, paths) = match index {
            Some(index) => (index.path, paths),
            None => (paths.remove(0), Vec::new()),
        };
        let tensors = all.concat();
        Report { file, manifest: None, began_with: None, files: paths, tensors }
    };
    if args.json {
        output::json(&report)?;
        return Ok(Verdict::Done);
    }
    let row = |t: &TensorReport| {
        let nonzero = t.nonzero.map_or_else(|| "-".to_owned(), output::thousands);
        let sparsity = t.sparsity.map_or_else(|| "-".to_owned(), output::percent);
        vec![t.name.clone(), t.dtype.clone(), output::shape(&t.shape), nonzero, sparsity]
    };
    let rows = report.tensors.iter().map(row).collect();
    output::table(&["tensor", "dtype", "shape", "nonzero", "sparsity"], 3, rows)?;
    if let Some(m) = &report.manifest {
        let line =
            format!("{} at global step {}, seed {}, {}", m.model, m.global_step, m.seed, m.adapter);
        output::line(&line)?;
    }
    if let Some(folder) = &report.began_with {
        output::line(&format!(
            "began with {}, where the tensors are that were not trained; secateur export writes \
             all of them as such a folder",
            folder.display()
        ))?;
    }
    for file in report.files.iter().chain([&report.file]) {
        output::line(&file.display().to_string())?;
    }
    Ok(Verdict::Done)
}

/// What a run of a pretrained model began with, as far as its recipe says it.
fn began_with(found: &Checkpoint) -> Option<PathBuf> {
    let is_pretrained = matches!(found.manifest.model.parse(), Ok(Model::Pretrained { .. }));
    let recipe = found.path.parent().filter(|_| is_pretrained)?.join("recipe.toml");
    Some(Recipe::read(&recipe).ok()?.init?.folder)
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
        replace(&path, &mask_picture(mask, &shape)?)?;
        output::note(path.display());
    }
    Ok(())
}

/// Every tensor of a file, read in pieces: memory does not grow with the file.
fn tensors(header: &mut Header) -> Result<Vec<TensorReport>> {
    let infos = header.tensors.clone();
    let report = |info: TensorInfo| {
        let total = info.len();
        let nonzero = count(header, &info)?;
        let of = |nonzero| if total == 0 { 0.0 } else { 1.0 - nonzero as f64 / total as f64 };
        let (dtype, sparsity) = (info.dtype.to_string(), nonzero.map(of));
        Ok(TensorReport { name: info.name, dtype, shape: info.shape, nonzero, sparsity })
    };
    infos.into_iter().map(report).collect()
}

/// How many elements are not zero, of a type whose zeros are known.
fn count(header: &mut Header, info: &TensorInfo) -> Result<Option<u64>> {
    // A whole number of elements of every type.
    let mut buffer = vec![0; CHUNK];
    let (mut offset, end, mut count) = (info.offset, info.offset + info.bytes, 0);
    while offset < end {
        let part = buffer.len().min((end - offset) as usize);
        header.read(offset, &mut buffer[..part])?;
        let Some(more) = info.dtype.nonzero(&buffer[..part]) else { return Ok(None) };
        count += more;
        offset += part as u64;
    }
    Ok(Some(count))
}
