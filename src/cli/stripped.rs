//! What an exported network has left, and what its checkpoint had besides.
use anyhow::Result;
use secateur::checkpoint::Checkpoint;
use secateur::graph::{MASK, RAW};
use secateur::optim::AVERAGE;
use secateur::session::ModelFile;
use secateur::storage::{Tensor, TensorData};
use serde::Serialize;

use super::output;

/// Bytes of an element of a checkpoint.
const WORD: u64 = 4;

/// A tensor of the output.
#[derive(Debug, Serialize)]
pub struct TensorZeros {
    name: String,
    shape: Vec<usize>,
    /// What it was before dead units went.
    #[serde(skip_serializing_if = "Option::is_none")]
    whole_shape: Option<Vec<usize>>,
    zeros: usize,
    sparsity: f64,
}

/// What a checkpoint had for training alone.
#[derive(Debug, Serialize)]
pub struct Dropped {
    what: &'static str,
    tensors: u64,
    bytes: u64,
}

/// The tensors of `file`, which had the shapes of `whole`.
pub fn zeros(file: &ModelFile, whole: &[Tensor]) -> Vec<TensorZeros> {
    let of = |tensor: &Tensor| {
        let values = floats(tensor);
        let zeros = values.iter().filter(|&&v| v == 0.0).count();
        let before = whole.iter().find(|other| other.name == tensor.name);
        TensorZeros {
            name: tensor.name.clone(),
            shape: tensor.shape.clone(),
            whole_shape: before.map(|b| b.shape.clone()).filter(|shape| *shape != tensor.shape),
            zeros,
            sparsity: zeros as f64 / values.len().max(1) as f64,
        }
    };
    file.weights.iter().map(of).collect()
}

/// What `found` has beside its weights.
pub fn dropped(found: &Checkpoint) -> Vec<Dropped> {
    let mut all: Vec<Dropped> = Vec::new();
    for tensor in &found.optimizer {
        let what = match tensor.name.rsplit('/').next().unwrap_or_default() {
            MASK => "masks",
            RAW => "weights under masks",
            "threshold" => "thresholds",
            AVERAGE => "averages, which are the weights now",
            _ => "optimizer slots",
        };
        let at = all.iter().position(|dropped| dropped.what == what).unwrap_or(all.len());
        if at == all.len() {
            all.push(Dropped { what, tensors: 0, bytes: 0 });
        }
        all[at].tensors += 1;
        all[at].bytes += tensor.data.len() as u64 * WORD;
    }
    all
}

pub fn print(tensors: &[TensorZeros], dropped: &[Dropped]) -> Result<()> {
    let was = tensors.iter().any(|t| t.whole_shape.is_some());
    let row = |t: &TensorZeros| {
        let before = t.whole_shape.as_ref().unwrap_or(&t.shape);
        let mut row = vec![t.name.clone(), output::shape(&t.shape)];
        row.extend(was.then(|| output::shape(before)));
        row.extend([output::thousands(t.zeros as u64), output::percent(t.sparsity)]);
        row
    };
    let mut header = vec!["tensor", "shape"];
    header.extend(was.then_some("shape before"));
    header.extend(["zeros", "share"]);
    output::table(&header, if was { 3 } else { 2 }, tensors.iter().map(row).collect())?;
    for Dropped { what, tensors, bytes } in dropped {
        let bytes = output::thousands(*bytes);
        output::line(&format!("dropped: {what}, {tensors} tensors, {bytes} bytes"))?;
    }
    Ok(())
}

/// The values of a weight: a model's file holds f32 alone.
pub fn floats(tensor: &Tensor) -> &[f32] {
    match &tensor.data {
        TensorData::F32(values) => values,
        TensorData::U32(_) => &[],
    }
}
