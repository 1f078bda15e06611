//! How sparse a model is, counted in its weights.
use serde::Serialize;

/// One weight tensor: what is left of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LayerSparsity {
    /// Name of the weight.
    pub name: String,
    /// Its extents.
    pub shape: Vec<u32>,
    /// Share of zeros.
    pub sparsity: f64,
    /// Weights that are not zero.
    pub nonzero: u64,
    /// Highest score pruned by the last mask update that pruned more than zeros; 0 before the
    /// first.
    pub threshold: f32,
}

impl LayerSparsity {
    /// Number of weights.
    pub fn total(&self) -> u64 {
        self.shape.iter().map(|&d| u64::from(d)).product()
    }
}

/// Share of zeros over all `layers`.
pub fn total_sparsity(layers: &[LayerSparsity]) -> f64 {
    let total: u64 = layers.iter().map(LayerSparsity::total).sum();
    let nonzero: u64 = layers.iter().map(|l| l.nonzero).sum();
    if total == 0 { 0.0 } else { 1.0 - nonzero as f64 / total as f64 }
}
