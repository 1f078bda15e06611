//! `secateur export`, and reading what it wrote.
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize_to_file};
use secateur::nn::{Dense, Model, shrink};
use serde::Serialize;

use super::args::Export;
use super::{Verdict, output, trained};

/// The key of the model's name in the file's metadata.
const MODEL: &str = "model";

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
}

pub fn run(args: &Export) -> Result<Verdict> {
    let name = args.output.to_string_lossy();
    for other in [".onnx", ".sparse.safetensors"] {
        ensure!(!name.ends_with(other), "-o *{other} is not in this version; take *.safetensors");
    }
    ensure!(name.ends_with(".safetensors"), "-o {name}: must end in .safetensors");
    let there = args.output.exists() && !args.force;
    ensure!(!there, "{name} is there already; choose another name, or --force");
    let found = trained::find(&args.checkpoint)?;
    let mut model: Model = found.manifest.model.parse()?;
    let mut weights = trained::weights(&found)?;
    let mut whole_model = None;
    if args.shrink {
        let small = shrink(&model, &dense_layers(&found.path, weights)?)?;
        whole_model = Some(model.to_string());
        (model, weights) = (small.model, named(small.layers));
    }
    write(&args.output, &model, &weights)?;
    let values = || weights.iter().flat_map(|w| &w.values);
    let report = Report {
        checkpoint: found.path,
        output: args.output.clone(),
        model: model.to_string(),
        whole_model,
        parameters: values().count(),
        nonzero: values().filter(|&&v| v != 0.0).count(),
        bytes: fs::metadata(&args.output)?.len(),
    };
    if args.json {
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

/// A parameter on the host.
pub struct Weights {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// The layers of a fully connected network, `fc1` first.
fn dense_layers(path: &Path, weights: Vec<Weights>) -> Result<Vec<Dense>> {
    let count = weights.iter().filter(|w| w.name.ends_with(".weight")).count();
    let mut weights: HashMap<String, Vec<f32>> =
        weights.into_iter().map(|w| (w.name, w.values)).collect();
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

fn named(layers: Vec<Dense>) -> Vec<Weights> {
    let both = |(i, Dense { weight, bias }): (usize, Dense)| {
        let outputs = bias.len();
        let shape = vec![weight.len() / outputs, outputs];
        [
            Weights { name: format!("fc{i}.weight"), shape, values: weight },
            Weights { name: format!("fc{i}.bias"), shape: vec![outputs], values: bias },
        ]
    };
    (1..).zip(layers).flat_map(both).collect()
}

pub fn write(path: &Path, model: &Model, weights: &[Weights]) -> Result<()> {
    let mut views = Vec::new();
    for w in weights {
        let bytes = bytemuck::cast_slice(&w.values);
        views.push((w.name.as_str(), TensorView::new(Dtype::F32, w.shape.clone(), bytes)?));
    }
    let metadata = HashMap::from([(MODEL.to_owned(), model.to_string())]);
    // Whole or not at all.
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let written = serialize_to_file(views, Some(metadata), Path::new(&part))
        .map_err(anyhow::Error::from)
        .and_then(|()| Ok(fs::rename(&part, path)?));
    if written.is_err() {
        fs::remove_file(&part).ok();
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Model and weights of a file that `export` wrote.
pub fn read(path: &Path) -> Result<(Model, Vec<Weights>)> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.display();
    let (_, metadata) = SafeTensors::read_metadata(&bytes)
        .with_context(|| format!("{name}: not a safetensors file"))?;
    let model = metadata.metadata().as_ref().and_then(|m| m.get(MODEL)).with_context(|| {
        format!("{name}: does not say its model; evaluate a checkpoint, or what `export` wrote")
    })?;
    let file = SafeTensors::deserialize(&bytes)?;
    let values = |(name, view): (String, TensorView<'_>)| {
        ensure!(view.dtype() == Dtype::F32, "{name} is {:?}, must be f32", view.dtype());
        let (shape, values) = (view.shape().to_vec(), bytemuck::pod_collect_to_vec(view.data()));
        Ok(Weights { name, shape, values })
    };
    Ok((model.parse()?, file.tensors().into_iter().map(values).collect::<Result<_>>()?))
}
