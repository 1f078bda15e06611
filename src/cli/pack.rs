//! `secateur export --format`: tensors of many zeros in fewer bytes, and of fewer bits.
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use secateur::session::{ModelFile, unit_axes};
use secateur::storage::{
    Companions, Format, Header, Loss, PackOptions, PackedTensor, Values, Weights,
    check_pack_folder, pack, pack_folder,
};
use serde::Serialize;

use super::args::{Export, Packed};
use super::fastest::{Found, measure_folder};
use super::measured::Compared;
use super::{Verdict, advice, output};

#[derive(Debug, Serialize)]
struct Report {
    input: PathBuf,
    output: PathBuf,
    tensors: Vec<PackedTensor>,
    /// Of all tensors, before and after.
    dense_bytes: u64,
    bytes: u64,
    /// What they would be in the smallest format with such values.
    smallest_bytes: u64,
    /// Names of the files that were copied along.
    copied: Vec<String>,
    /// What was not, with the reason.
    left_out: Vec<String>,
    /// Where data was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation: Option<Compared>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fastest: Option<Found>,
}

/// Packs a file, or a folder with one.
pub fn run(args: &Export) -> Result<Verdict> {
    if args.checkpoint.is_dir() {
        let Weights { files, .. } = Weights::open(&args.checkpoint)?;
        let mut options = options(args, &files)?;
        let mut fastest = None;
        if args.fastest {
            // What would be in the way afterwards is said before the time is spent.
            check_pack_folder(&args.checkpoint, &args.output, &options)?;
            let (found, hint) = measure_folder(args)?;
            if !args.common.json {
                found.print()?;
            }
            let (key, text) = hint.metadata()?;
            (options, fastest) = (options.metadata(key, text), Some(found));
        }
        let (tensors, beside) = pack_folder(&args.checkpoint, &args.output, &options)?;
        return report(args, &args.checkpoint, tensors, beside, fastest);
    }
    check_name(&args.output)?;
    let file = Header::open(&args.checkpoint)?;
    let tensors = pack(&file, &args.output, &options(args, std::slice::from_ref(&file))?)?;
    report(args, &args.checkpoint, tensors, Companions::default(), None)
}

/// Packs what `export` writes of a checkpoint.
pub fn checkpoint(args: &Export, file: &ModelFile, fastest: Option<Found>) -> Result<Verdict> {
    let plain = Header::from_bytes(&file.path, file.to_bytes()?)?;
    let tensors = pack(&plain, &args.output, &options(args, std::slice::from_ref(&plain))?)?;
    report(args, &file.path, tensors, Companions::default(), fastest)
}

fn check_name(path: &Path) -> Result<()> {
    let is_one = path.extension().is_some_and(|e| e == "safetensors");
    ensure!(is_one, "-o {}: must end in .safetensors", path.display());
    Ok(())
}

fn options(args: &Export, files: &[Header]) -> Result<PackOptions> {
    let format = match args.format {
        None | Some(Packed::Dense | Packed::Gguf | Packed::Onnx) => Format::Dense,
        Some(Packed::Sparse) => Format::Sparse,
        Some(Packed::Bitmask) => Format::Bitmask,
        Some(Packed::Smallest) => Format::Smallest,
    };
    let values = args.values.map(Values::from);
    let mut options = PackOptions::new(format).values(values).force(args.force);
    if values == Some(Values::Int8) {
        for file in files {
            options.unit_axes.extend(unit_axes(file)?);
        }
    }
    Ok(options)
}

fn report(
    args: &Export,
    input: &Path,
    tensors: Vec<PackedTensor>,
    beside: Companions,
    fastest: Option<Found>,
) -> Result<Verdict> {
    let sum = |of: fn(&PackedTensor) -> u64| tensors.iter().map(of).sum();
    let (dense_bytes, bytes) = (sum(|t| t.dense_bytes), sum(|t| t.bytes));
    let smallest_bytes = sum(|t| t.smallest_bytes);
    let evaluation = Compared::of(args)?;
    let (input, output) = (input.to_owned(), args.output.clone());
    let Companions { copied, left_out, .. } = beside;
    let report = Report {
        input,
        output,
        tensors,
        dense_bytes,
        bytes,
        smallest_bytes,
        copied,
        left_out,
        evaluation,
        fastest,
    };
    advice::of_two_four(&args.output, &report.tensors);
    if args.common.json {
        output::json(&report)?;
        return Ok(Verdict::Done);
    }
    output::left_out(&report.left_out);
    let rounded = report.tensors.iter().any(|t| t.loss.is_some());
    let loss = |of: fn(&Loss) -> f64, t: &PackedTensor| match &t.loss {
        Some(loss) => format!("{:.2e}", of(loss)),
        None => "-".to_owned(),
    };
    let row = |t: &PackedTensor| {
        let elements: u64 = t.shape.iter().map(|&d| d as u64).product();
        let nonzero = t.nonzero as f64 / elements.max(1) as f64;
        let mut row = vec![
            t.name.clone(),
            t.dtype.clone(),
            output::shape(&t.shape),
            output::percent(1.0 - nonzero),
            t.packing.map_or_else(|| "dense".to_owned(), |packing| packing.to_string()),
            output::thousands(t.dense_bytes),
            output::thousands(t.bytes),
        ];
        if rounded {
            row.extend([loss(|l| l.largest, t), loss(|l| l.relative, t)]);
        }
        row
    };
    let mut header = vec!["tensor", "dtype", "shape", "zeros", "kept as", "bytes before", "bytes"];
    if rounded {
        header.extend(["largest error", "mean error"]);
    }
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
    if report.smallest_bytes < report.bytes {
        let share = report.smallest_bytes as f64 / report.dense_bytes.max(1) as f64;
        let smallest = output::thousands(report.smallest_bytes);
        let share = output::percent(share);
        output::line(&format!("--format smallest would take {smallest} bytes, {share}"))?;
    }
    if let Some(evaluation) = &report.evaluation {
        evaluation.print()?;
    }
    Ok(Verdict::Done)
}
