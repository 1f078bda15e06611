//! `secateur inspect`
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use secateur::train::checkpoint::{MODEL_FILE, Manifest};
use serde::Serialize;

use super::args::Inspect;
use super::{Verdict, eval, output};

/// Largest header that the format allows.
const MAX_HEADER: u64 = 100_000_000;
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
    let report = if args.file.is_dir() {
        let found = eval::find(&args.file)?;
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

/// Every tensor of a safetensors file, read in pieces: memory does not grow with the file.
fn tensors(path: &Path) -> Result<Vec<TensorReport>> {
    let name = path.display();
    let mut file = File::open(path).with_context(|| format!("cannot open {name}"))?;
    let bytes = file.metadata()?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).with_context(|| format!("{name}: {bytes} bytes are too few"))?;
    let header = u64::from_le_bytes(length);
    ensure!(
        header <= MAX_HEADER.min(bytes - 8),
        "{name}: header of {header} bytes in a file of {bytes}: not a safetensors file"
    );
    let mut json = vec![0; header as usize];
    file.read_exact(&mut json).with_context(|| format!("cannot read {name}"))?;
    let metadata: Metadata =
        serde_json::from_slice(&json).with_context(|| format!("{name}: header is damaged"))?;
    let data = 8 + header;
    let mut infos: Vec<(String, &TensorInfo)> = metadata.tensors().into_iter().collect();
    // Empty tensors share their offset with the next one.
    infos.sort_by(|(a, x), (b, y)| (x.data_offsets, a).cmp(&(y.data_offsets, b)));
    let end = data + metadata.data_len() as u64;
    ensure!(end == bytes, "{name}: {bytes} bytes, the header describes {end}");
    infos
        .into_iter()
        .map(|(name, info)| {
            let (begin, end) = info.data_offsets;
            file.seek(SeekFrom::Start(data + begin as u64))?;
            let total = info.shape.iter().product::<usize>() as u64;
            let nonzero = nonzero(&mut file, (end - begin) as u64, info.dtype, total)?;
            let sparsity = if total == 0 { 0.0 } else { 1.0 - nonzero as f64 / total as f64 };
            let dtype = format!("{:?}", info.dtype);
            Ok(TensorReport { name, dtype, shape: info.shape.clone(), nonzero, sparsity })
        })
        .collect::<Result<_>>()
        .with_context(|| format!("cannot count the zeros of {}", path.display()))
}

/// Elements whose bits are not all clear; the sign bit of a float does not count.
fn nonzero(file: &mut File, bytes: u64, dtype: Dtype, total: u64) -> Result<u64> {
    let size = bytes.checked_div(total).unwrap_or(0) as usize;
    ensure!(total == 0 || size > 0, "{dtype:?} elements are smaller than a byte");
    let float = matches!(dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64);
    let (mut left, mut count) = (bytes as usize, 0);
    let mut buffer = vec![0; CHUNK - CHUNK % size.max(1)];
    while left > 0 {
        let part = buffer.len().min(left);
        file.read_exact(&mut buffer[..part])?;
        for element in buffer[..part].chunks_exact(size) {
            let (last, rest) = element.split_last().expect("size is not 0");
            let last = if float { last & 0x7f } else { *last };
            count += u64::from(last != 0 || rest.iter().any(|&b| b != 0));
        }
        left -= part;
    }
    Ok(count)
}
