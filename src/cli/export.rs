//! `secateur export`
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use secateur::checkpoint::{self, Checkpoint};
use secateur::nn::{Dense, Model, shrink};
use secateur::pretrained::Pretrained;
use secateur::session::ModelFile;
use secateur::storage::{Tensor, TensorData, check_output, replace};
use secateur::train::Recipe;
use serde::Serialize;

use super::args::Export;
use super::{Verdict, fastest, output, pack};

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
    #[serde(skip_serializing_if = "Option::is_none")]
    fastest: Option<fastest::Found>,
}

pub fn run(args: &Export) -> Result<Verdict> {
    let plain = args.checkpoint.is_dir() && !checkpoint::is_in(&args.checkpoint);
    if args.format.is_some() && !args.fastest && (plain || args.checkpoint.is_file()) {
        ensure!(!args.shrink, "--shrink is for checkpoints of networks of secateur's own");
        return pack::run(args);
    }
    if !args.checkpoint.is_file() {
        let found = checkpoint::find(&args.checkpoint)?;
        if let Ok(Model::Pretrained { .. }) = found.manifest.model.parse() {
            ensure!(!args.fastest, "--fastest is for networks of secateur's own");
            ensure!(args.format.is_none(), "--format: export a folder first, then pack the folder");
            return folder(args, &found);
        }
    }
    let name = args.output.to_string_lossy();
    let is_onnx = name.ends_with(".onnx");
    ensure!(
        is_onnx || name.ends_with(".safetensors"),
        "-o {name}: must end in .safetensors or .onnx"
    );
    ensure!(!is_onnx || args.format.is_none(), "--format is for *.safetensors");
    check_output(&args.output, args.force)?;
    let mut file = ModelFile::open(&args.checkpoint)?;
    ensure!(
        !args.fastest || !is_onnx,
        "--fastest is noted in *.safetensors; other engines have kernels of their own"
    );
    let mut whole_model = None;
    if args.shrink {
        let small = shrink(&file.model()?, &dense_layers(&file.path, &file.weights)?)?;
        whole_model = Some(file.network.clone());
        (file.network, file.weights) = (small.model.to_string(), named(small.layers));
    }
    let fastest = args.fastest.then(|| fastest::measure(args, &mut file)).transpose()?;
    if let Some(found) = fastest.as_ref().filter(|_| !args.common.json) {
        found.print()?;
    }
    match args.format {
        None if is_onnx => replace(&args.output, &file.to_onnx()?)?,
        None => file.write(&args.output)?,
        Some(_) => return pack::checkpoint(args, &file, fastest),
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
        fastest,
    };
    if args.common.json {
        output::json(&report)?;
        return Ok(Verdict::Done);
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
    Ok(Verdict::Done)
}

/// Writes the checkpoint of a pretrained model as a folder like the one that its run began with.
fn folder(args: &Export, found: &Checkpoint) -> Result<Verdict> {
    ensure!(!args.shrink, "--shrink knows mlp:... only, and this is {}", found.manifest.model);
    let logdir = found.path.parent().unwrap_or(Path::new("."));
    let recipe = Recipe::read(&logdir.join("recipe.toml"))
        .with_context(|| format!("{} does not say its folder", found.path.display()))?;
    let init = recipe.init.as_ref();
    let init = init.with_context(|| format!("the recipe in {} has no init", logdir.display()))?;
    let model = Pretrained::open(&init.folder)?;
    let now = model.files().fingerprint()?;
    ensure!(
        now == init.fingerprint,
        "{} has changed since the run in {} began: fingerprint {} then, {now} now; bring back what \
         was there",
        init.folder.display(),
        logdir.display(),
        init.fingerprint
    );
    let file = ModelFile::of(found)?;
    let job = job(&recipe, logdir, found.manifest.global_step);
    let mut values = |name: &str| {
        let tensor = file.weights.iter().find(|w| w.name == name);
        Ok(tensor.map(|tensor| floats(tensor).to_vec()))
    };
    let files = model.save(&args.output, args.force, &job, &mut values)?;
    let values = || file.weights.iter().flat_map(floats);
    let report = FolderReport {
        checkpoint: &found.path,
        output: &args.output,
        model: &found.manifest.model,
        folder: &init.folder,
        trained: values().count(),
        nonzero: values().filter(|&&v| v != 0.0).count(),
        copied: &files.copied,
    };
    if args.common.json {
        output::json(&report)?;
        return Ok(Verdict::Done);
    }
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

/// The values of a weight: a model's file holds f32 alone.
fn floats(tensor: &Tensor) -> &[f32] {
    match &tensor.data {
        TensorData::F32(values) => values,
        TensorData::U32(_) => &[],
    }
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
