//! `secateur export FOLDER -o FILE.gguf`
use std::path::PathBuf;

use anyhow::{Result, ensure};
use secateur::gguf::{GgufReport, GgufTensor, write_gguf};
use secateur::pretrained::Pretrained;
use serde::Serialize;

use super::args::{Export, Packed};
use super::{Verdict, output, pretrained};

#[derive(Debug, Serialize)]
struct Report {
    input: PathBuf,
    output: PathBuf,
    #[serde(flatten)]
    file: GgufReport,
}

/// Whether such a file is asked for.
pub fn is_asked(args: &Export) -> bool {
    let named = args.output.extension().is_some_and(|e| e == "gguf");
    matches!(args.format, Some(Packed::Gguf)) || (named && args.format.is_none())
}

pub fn run(args: &Export) -> Result<Verdict> {
    let (input, output) = (&args.checkpoint, &args.output);
    ensure!(
        output.extension().is_some_and(|e| e == "gguf"),
        "-o {}: must end in .gguf",
        output.display()
    );
    ensure!(
        pretrained::is_folder(input),
        "{} is no folder of a language model with its config.json, which GGUF files are made of; \
         export a checkpoint of one into a folder first",
        input.display()
    );
    ensure!(!args.shrink, "--shrink is for networks of secateur's own");
    ensure!(args.data.data.is_none(), "--data: secateur does not read GGUF files; eval the folder");
    let model = Pretrained::open(input)?;
    let file = write_gguf(&model, output, args.values.map(Into::into), args.force)?;
    let report = Report { input: input.clone(), output: output.clone(), file };
    if args.common.json {
        output::json(&report)?;
        return Ok(Verdict::Done);
    }
    let row = |t: &GgufTensor| {
        let elements: u64 = t.shape.iter().map(|&d| d as u64).product();
        let zeros = 1.0 - t.nonzero as f64 / elements.max(1) as f64;
        vec![
            t.name.clone(),
            t.source.clone(),
            t.dtype.clone(),
            output::shape(&t.shape),
            output::percent(zeros),
            output::thousands(t.bytes),
        ]
    };
    let header = ["tensor", "was", "dtype", "shape", "zeros", "bytes"];
    output::table(&header, 4, report.file.tensors.iter().map(row).collect())?;
    let GgufReport { architecture, tokenizer, bytes, .. } = &report.file;
    let tokenizer = tokenizer.as_deref().unwrap_or("none: the folder has no tokenizer.json");
    for (name, value) in [
        ("architecture", architecture.clone()),
        ("tokenizer", tokenizer.to_owned()),
        ("bytes", output::thousands(*bytes)),
        ("file", report.output.display().to_string()),
    ] {
        output::line(&format!("{name:<12} {value}"))?;
    }
    Ok(Verdict::Done)
}
