//! `secateur export --format`: matrices of many zeros in fewer bytes.
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use secateur::session::ModelFile;
use secateur::storage::{Dtype, Format, Header, PackedTensor, pack, pack_folder};
use serde::Serialize;

use super::args::{Export, Packed, Values};
use super::fastest::Found;
use super::{Verdict, output};

#[derive(Debug, Serialize)]
struct Report {
    input: PathBuf,
    output: PathBuf,
    tensors: Vec<PackedTensor>,
    /// Of all tensors, before and after.
    dense_bytes: u64,
    bytes: u64,
    /// Names of the files that were copied along.
    copied: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fastest: Option<Found>,
}

/// Packs a file, or a folder with one.
pub fn run(args: &Export) -> Result<Verdict> {
    let (format, values) = asked(args);
    if args.checkpoint.is_dir() {
        let (tensors, beside) =
            pack_folder(&args.checkpoint, &args.output, format, values.as_ref(), args.force)?;
        return report(args, &args.checkpoint, tensors, beside.copied, None);
    }
    check_name(&args.output)?;
    let file = Header::open(&args.checkpoint)?;
    let tensors = pack(&file, &args.output, format, values.as_ref(), args.force)?;
    report(args, &args.checkpoint, tensors, Vec::new(), None)
}

/// Packs what `export` writes of a checkpoint.
pub fn checkpoint(args: &Export, file: &ModelFile, fastest: Option<Found>) -> Result<Verdict> {
    let (format, values) = asked(args);
    let plain = Header::from_bytes(&file.path, file.to_bytes()?)?;
    let tensors = pack(&plain, &args.output, format, values.as_ref(), args.force)?;
    report(args, &file.path, tensors, Vec::new(), fastest)
}

fn check_name(path: &Path) -> Result<()> {
    let is_one = path.extension().is_some_and(|e| e == "safetensors");
    ensure!(is_one, "-o {}: must end in .safetensors", path.display());
    Ok(())
}

fn asked(args: &Export) -> (Format, Option<Dtype>) {
    let format = match args.format {
        None | Some(Packed::Dense) => Format::Dense,
        Some(Packed::Sparse) => Format::Sparse,
        Some(Packed::Bitmask) => Format::Bitmask,
    };
    let values = args.values.map(|values| match values {
        Values::F32 => Dtype::F32,
        Values::F16 => Dtype::F16,
        Values::Bf16 => Dtype::BF16,
    });
    (format, values)
}

fn report(
    args: &Export,
    input: &Path,
    tensors: Vec<PackedTensor>,
    copied: Vec<String>,
    fastest: Option<Found>,
) -> Result<Verdict> {
    let sum = |of: fn(&PackedTensor) -> u64| tensors.iter().map(of).sum();
    let (dense_bytes, bytes) = (sum(|t| t.dense_bytes), sum(|t| t.bytes));
    let (input, output) = (input.to_owned(), args.output.clone());
    let report = Report { input, output, tensors, dense_bytes, bytes, copied, fastest };
    if args.common.json {
        output::json(&report)?;
        return Ok(Verdict::Done);
    }
    let row = |t: &PackedTensor| {
        let elements: u64 = t.shape.iter().map(|&d| d as u64).product();
        let nonzero = t.nonzero as f64 / elements.max(1) as f64;
        vec![
            t.name.clone(),
            t.dtype.clone(),
            output::shape(&t.shape),
            output::percent(1.0 - nonzero),
            t.packing.map_or_else(|| "dense".to_owned(), |packing| packing.to_string()),
            output::thousands(t.dense_bytes),
            output::thousands(t.bytes),
        ]
    };
    let header = ["tensor", "dtype", "shape", "zeros", "kept as", "bytes before", "bytes"];
    output::table(&header, 3, report.tensors.iter().map(row).collect())?;
    let packed = report.tensors.iter().filter(|t| t.packing.is_some()).count();
    let of = report.tensors.len();
    output::line(&format!(
        "{packed} of {of} tensors are packed; the others take fewer bytes dense"
    ))?;
    let share = report.bytes as f64 / report.dense_bytes.max(1) as f64;
    let [before, after] = [report.dense_bytes, report.bytes].map(output::thousands);
    output::line(&format!(
        "{after} bytes of {before}, {}: {}",
        output::percent(share),
        report.output.display()
    ))?;
    Ok(Verdict::Done)
}
