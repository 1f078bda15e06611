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
    let mut layers = layers(&found.path, trained::tensors(&found)?)?;
    let mut whole_model = None;
    if args.shrink {
        let small = shrink(&model, &layers)?;
        whole_model = Some(model.to_string());
        (model, layers) = (small.model, small.layers);
    }
    write(&args.output, &model, &layers)?;
    let values = || layers.iter().flat_map(|l| l.weight.iter().chain(&l.bias));
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

/// The layers of the checkpoint at `path`, `fc1` first.
fn layers(path: &Path, tensors: Tensors) -> Result<Vec<Dense>> {
    let count = tensors.iter().filter(|(name, _)| name.ends_with(".weight")).count();
    let mut tensors: HashMap<String, Vec<f32>> = tensors.into_iter().collect();
    let mut get = |name: String| {
        tensors.remove(&name).with_context(|| format!("{}: {name} is missing", path.display()))
    };
    let layer = |i: usize| {
        let weight = get(format!("fc{i}.weight"))?;
        Ok(Dense { weight, bias: get(format!("fc{i}.bias"))? })
    };
    (1..=count).map(layer).collect()
}

pub fn write(path: &Path, model: &Model, layers: &[Dense]) -> Result<()> {
    let mut views = Vec::new();
    for (i, layer) in (1..).zip(layers) {
        let outputs = layer.bias.len();
        let shape = vec![layer.weight.len() / outputs, outputs];
        for (kind, shape, values) in
            [("weight", shape, &layer.weight), ("bias", vec![outputs], &layer.bias)]
        {
            let view = TensorView::new(Dtype::F32, shape, bytemuck::cast_slice(values))?;
            views.push((format!("fc{i}.{kind}"), view));
        }
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

/// Parameters by name.
pub type Tensors = Vec<(String, Vec<f32>)>;

/// Model and tensors of a file that `export` wrote.
pub fn read(path: &Path) -> Result<(Model, Tensors)> {
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
        Ok((name, bytemuck::pod_collect_to_vec(view.data())))
    };
    Ok((model.parse()?, file.tensors().into_iter().map(values).collect::<Result<_>>()?))
}
