//! What a pruning did.
use serde::{Deserialize, Serialize};

/// A pruning of a whole model.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PruneReport {
    /// Each block of which anything was pruned, in order.
    pub blocks: Vec<BlockReport>,
    /// Perplexity of the pruned model on the windows that it was calibrated on, of a language model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration_perplexity: Option<f64>,
    /// Most bytes that were taken on the device at once.
    pub device_bytes: u64,
}

/// A block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BlockReport {
    /// Its number, from 0 on.
    pub block: u32,
    /// Number of blocks.
    pub blocks: u32,
    /// What the names of its tensors begin with.
    pub name: String,
    /// Share of the outliers of its weights in the dense model, where sparsity is allocated by
    /// them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outliers: Option<f64>,
    /// The sparsity that it was to have by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<f64>,
    /// Its weights that were pruned.
    pub weights: Vec<WeightReport>,
    /// How far its output on the first window is from that of the dense block on the same input:
    /// the squared length of the difference over that of the dense one. With [`Method::Admm`] from
    /// what the dense model makes of that window.
    ///
    /// [`Method::Admm`]: super::Method::Admm
    pub error: f64,
    /// Seconds that it took.
    pub seconds: f64,
    /// Bytes that it took on the device.
    pub device_bytes: u64,
}

impl PruneReport {
    /// Share of the zeros of all weights that were pruned.
    pub fn sparsity(&self) -> f64 {
        sparsity(self.blocks.iter().flat_map(|block| &block.weights))
    }
}

/// Share of the zeros of `weights`.
fn sparsity<'a>(weights: impl Iterator<Item = &'a WeightReport>) -> f64 {
    let counts = |(nonzero, len), w: &WeightReport| (nonzero + w.nonzero, len + w.len);
    let (nonzero, len) = weights.fold((0, 0), counts);
    1.0 - nonzero as f64 / (len as f64).max(1.0)
}

impl BlockReport {
    /// Share of the zeros of its pruned weights.
    pub fn sparsity(&self) -> f64 {
        sparsity(self.weights.iter())
    }
}

/// A weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WeightReport {
    /// Its name in the file.
    pub name: String,
    /// Elements.
    pub len: u64,
    /// Elements that are not zero.
    pub nonzero: u64,
    /// Highest score that was pruned.
    pub threshold: f32,
}

impl WeightReport {
    pub(super) fn new(name: &str, values: &[f32], threshold: f32) -> Self {
        let nonzero = values.iter().filter(|&&x| x != 0.0).count() as u64;
        Self { name: name.to_owned(), len: values.len() as u64, nonzero, threshold }
    }
}
