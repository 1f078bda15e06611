//! `secateur export`
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use secateur::checkpoint;
use secateur::nn::{Dense, Input, Model, remove_dead, shrink};
use secateur::session::ModelFile;
use secateur::storage::{Tensor, TensorData, check_output, replace};
use secateur::train::Recipe;
use serde::Serialize;

use super::args::{Export, Packed};
use super::pretrained::{Run, is_run};
use super::stripped::{self, Dropped, TensorZeros, floats};
use super::{Verdict, advice, fastest, gguf, output, pack};

#[derive(Debug, Serialize)]
struct Report {
    checkpoint: PathBuf,
    output: PathBuf,
    model: String,
    /// What it was before it was shrunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    whole_model: Option<String>,
    parameters: usize,
    nonzero: usize,
    bytes: u64,
    tensors: Vec<TensorZeros>,
    /// What the checkpoint has for training alone.
    dropped: Vec<Dropped>,
    /// Weights whose units had to stay, each with the reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kept_units: Vec<(String, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fastest: Option<fastest::Found>,
}

pub fn run(args: &Export) -> Result<Verdict> {
    if gguf::is_asked(args) {
        return gguf::run(args);
    }
    if is_run(&args.checkpoint) {
        return folder(args, &Run::open(&args.checkpoint)?);
    }
    let plain = args.checkpoint.is_dir() && !checkpoint::is_in(&args.checkpoint);
    let name = args.output.to_string_lossy();
    let is_onnx = name.ends_with(".onnx");
    let asks_onnx = matches!(args.format, Some(Packed::Onnx));
    let sparse_onnx = is_onnx && matches!(args.format, Some(Packed::Sparse));
    let formats = args.format.is_some() && !asks_onnx && !sparse_onnx;
    let packs = formats || args.values.is_some();
    let file = args.checkpoint.is_file() && !args.fastest;
    if plain && (packs || args.fastest) || packs && file {
        ensure!(!args.shrink, "--shrink is for checkpoints of networks of secateur's own");
        return pack::run(args);
    }
    let mut dropped = Vec::new();
    if !args.checkpoint.is_file() {
        dropped = stripped::dropped(&checkpoint::find(&args.checkpoint)?);
    }
    ensure!(
        is_onnx || name.ends_with(".safetensors"),
        "-o {name}: must end in .safetensors or .onnx, or of a language model's folder in .gguf"
    );
    ensure!(is_onnx || !asks_onnx, "-o {name}: --format onnx makes a file *.onnx");
    ensure!(
        !is_onnx || !packs,
        "--format and --values are for *.safetensors; of *.onnx there is --format sparse"
    );
    check_output(&args.output, args.force)?;
    let mut file = ModelFile::open(&args.checkpoint)?;
    ensure!(
        !args.fastest || !is_onnx,
        "--fastest is noted in *.safetensors; other engines have kernels of their own"
    );
    let (mut whole_model, mut kept_units) = (None, Vec::new());
    let whole = file.weights.clone();
    if args.shrink {
        whole_model = Some(file.network.clone());
        kept_units = without_dead(&mut file)?;
    }
    let fastest = args.fastest.then(|| fastest::measure(args, &mut file)).transpose()?;
    if let Some(found) = fastest.as_ref().filter(|_| !args.common.json) {
        found.print()?;
    }
    match packs {
        false if sparse_onnx => replace(&args.output, &file.to_sparse_onnx()?)?,
        false if is_onnx => replace(&args.output, &file.to_onnx()?)?,
        false => file.write(&args.output)?,
        true => return pack::checkpoint(args, &file, fastest),
    }
    let values = || file.weights.iter().flat_map(floats);
    let report = Report {
        checkpoint: file.path.clone(),
        output: args.output.clone(),
        model: file.network.clone(),
        whole_model,
        parameters: values().count(),
        nonzero: values().filter(|&&v| v != 0.0).count(),
        bytes: fs::metadata(&args.output)?.len(),
        tensors: stripped::zeros(&file, &whole),
        dropped,
        kept_units,
        fastest,
    };
    if args.common.json {
        output::json(&report)?;
        return Ok(Verdict::Done);
    }
    stripped::print(&report.tensors, &report.dropped)?;
    for (name, why) in &report.kept_units {
        output::line(&format!("kept all units of {name}: {why}"))?;
    }
    let mut facts = vec![("model", report.model.clone())];
    facts.extend(report.whole_model.clone().map(|whole| ("shrunk from", whole)));
    let thousands = |n: usize| output::thousands(n as u64);
    facts.push(("parameters", thousands(report.parameters)));
    facts.push(("not zero", thousands(report.nonzero)));
    facts.push(("bytes", output::thousands(report.bytes)));
    facts.push(("file", report.output.display().to_string()));
    for (name, value) in facts {
        output::line(&format!("{name:<12} {value}"))?;
    }
    if !is_onnx {
        advice::of_formats(&report.output)?;
    }
    Ok(Verdict::Done)
}

/// Takes the dead units out of `file`; the weights whose units had to stay, each with the reason.
fn without_dead(file: &mut ModelFile) -> Result<Vec<(String, String)>> {
    let model = file.model()?;
    if let Model::Mlp { .. } = model {
        let small = shrink(&model, &dense_layers(&file.path, &file.weights)?)?;
        (file.network, file.weights) = (small.model.to_string(), named(small.layers));
        return Ok(Vec::new());
    }
    let schema = file.schema.as_ref();
    let schema = schema.context("--shrink: the file does not say what its rows are")?;
    let small = remove_dead(&model, &Input::from(schema), &file.weights)?;
    (file.network, file.weights) = (small.model.to_string(), small.weights);
    Ok(small.left)
}

/// Writes the checkpoint of a pretrained model as a folder like the one that its run began with.
fn folder(args: &Export, run: &Run) -> Result<Verdict> {
    let Run { file, recipe, logdir, model } = run;
    ensure!(!args.shrink, "--shrink knows mlp:... only, and this is {}", file.network);
    ensure!(!args.fastest, "--fastest: export a folder first, then the folder with --fastest");
    ensure!(
        args.format.is_none() && args.values.is_none(),
        "--format, --values: export a folder first, then pack the folder"
    );
    ensure!(
        args.output.extension().is_none_or(|e| e != "onnx"),
        "-o {}: a pretrained model is written as a folder; name one",
        args.output.display()
    );
    let job = job(recipe, logdir, file.global_step.unwrap_or(0));
    let files = model.save(&args.output, args.force, &job, &mut |name| Ok(run.values(name)))?;
    let values = || file.weights.iter().flat_map(floats);
    let report = FolderReport {
        checkpoint: &file.path,
        output: &args.output,
        model: &file.network,
        folder: model.path(),
        trained: values().count(),
        nonzero: values().filter(|&&v| v != 0.0).count(),
        copied: &files.copied,
        left_out: &files.left_out,
    };
    if args.common.json {
        output::json(&report)?;
        return Ok(Verdict::Done);
    }
    output::left_out(report.left_out);
    let thousands = |n: usize| output::thousands(n as u64);
    for (name, value) in [
        ("model", report.model.to_owned()),
        ("began with", report.folder.display().to_string()),
        ("trained", thousands(report.trained)),
        ("not zero", thousands(report.nonzero)),
        ("folder", report.output.display().to_string()),
    ] {
        output::line(&format!("{name:<12} {value}"))?;
    }
    Ok(Verdict::Done)
}

/// What tells the weights of a run at a step from others.
pub fn job(recipe: &Recipe, logdir: &Path, step: u64) -> String {
    let folder = recipe.init.as_ref().map_or("", |init| &init.fingerprint);
    format!("{folder}, trained in {} to step {step}", logdir.display())
}

/// What `--json` prints of a folder.
#[derive(Debug, Serialize)]
struct FolderReport<'a> {
    checkpoint: &'a Path,
    output: &'a Path,
    model: &'a str,
    /// What the run began with.
    folder: &'a Path,
    /// Values of tensors that were trained, running statistics among them.
    trained: usize,
    nonzero: usize,
    copied: &'a [String],
    /// What was not, with the reason.
    left_out: &'a [String],
}

/// The layers of a fully connected network, `fc1` first.
fn dense_layers(path: &Path, weights: &[Tensor]) -> Result<Vec<Dense>> {
    let count = weights.iter().filter(|w| w.name.ends_with(".weight")).count();
    let mut weights: HashMap<String, Vec<f32>> =
        weights.iter().map(|w| (w.name.clone(), floats(w).to_vec())).collect();
    let mut get = |name: String| {
        weights.remove(&name).with_context(|| {
            format!("{}: {name} is missing; --shrink knows mlp:... only", path.display())
        })
    };
    let layer = |i: usize| {
        let weight = get(format!("fc{i}.weight"))?;
        Ok(Dense { weight, bias: get(format!("fc{i}.bias"))? })
    };
    (1..=count).map(layer).collect()
}

fn named(layers: Vec<Dense>) -> Vec<Tensor> {
    let both = |(i, Dense { weight, bias }): (usize, Dense)| {
        let outputs = bias.len();
        let shape = vec![weight.len() / outputs, outputs];
        [
            Tensor { name: format!("fc{i}.weight"), shape, data: TensorData::F32(weight) },
            Tensor {
                name: format!("fc{i}.bias"),
                shape: vec![outputs],
                data: TensorData::F32(bias),
            },
        ]
    };
    (1..).zip(layers).flat_map(both).collect()
}
