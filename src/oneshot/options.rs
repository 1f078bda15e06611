//! What to prune in a file, and how far.
use serde::Serialize;

use super::companions::Companions;
use crate::prune::{Pattern, Scope, TensorPattern};
use crate::storage::{Dtype, TensorInfo};
use crate::{Error, Result};

/// Settings of [`super::prune_file`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Share of the weights to prune, 0 to 1: of each tensor, or of all of them together.
    pub sparsity: f64,
    /// Which weights are ranked together: those of a tensor or of all, not of a unit.
    pub scope: Scope,
    /// [`Pattern::Element`], or N:M along the last axis, which is what a product sums over in files
    /// of PyTorch; then the sparsity is `1 - n / m`.
    pub pattern: Pattern,
    /// Rows and columns of the blocks that are kept or pruned as one, by the mean of their |w|: on
    /// a grid over each tensor as a matrix whose columns are its last axis. Then the sparsity is
    /// that of blocks.
    pub block: Option<[u32; 2]>,
    /// Tensors to prune: those whose name it is found in. All by default.
    pub include: Option<TensorPattern>,
    /// Tensors to leave as they are: those whose name it is found in.
    pub exclude: Option<TensorPattern>,
    /// Whether a file that is there may be replaced; never the input.
    pub force: bool,
    /// Most elements on the device at once; the smaller of what it can bind and 2^24 by default.
    pub chunk: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sparsity: 0.5,
            scope: Scope::Layer,
            pattern: Pattern::Element,
            block: None,
            include: None,
            exclude: None,
            force: false,
            chunk: None,
        }
    }
}

impl Options {
    pub(super) fn validate(&self) -> Result<()> {
        let refuse = |name, message: String| Err(Error::argument(name, message));
        let sparsity = self.sparsity;
        if self.scope == Scope::Unit {
            return refuse("scope", "unit: a file does not say which axis its units are".into());
        }
        if let Some([height, width]) = self.block {
            let named = format!("block:{height}x{width}");
            if height == 0 || width == 0 {
                return refuse("pattern", format!("{named}: must be at least 1x1"));
            }
            if self.pattern != Pattern::Element {
                return refuse("pattern", format!("{named} and {}: choose one", self.pattern));
            }
        }
        if self.pattern == Pattern::Channel {
            return refuse(
                "pattern",
                "channel: a file does not say what reads its channels".into(),
            );
        }
        let Some(implied) = self.pattern.sparsity()? else {
            let ok = (0.0..=1.0).contains(&sparsity);
            let message = format!("{sparsity}: must be in 0 to 1");
            return if ok { Ok(()) } else { refuse("sparsity", message) };
        };
        let pattern = self.pattern;
        if (sparsity - implied).abs() > 1e-9 {
            return refuse("sparsity", format!("{sparsity}: pattern {pattern} is {implied}"));
        }
        if self.scope == Scope::Global {
            let message = format!("global: {pattern} ranks within its groups; write layer");
            return refuse("scope", message);
        }
        Ok(())
    }

    fn expressions(&self) -> impl Iterator<Item = (&'static str, &TensorPattern)> {
        let both = [("include", &self.include), ("exclude", &self.exclude)];
        both.into_iter().filter_map(|(option, pattern)| Some((option, pattern.as_ref()?)))
    }

    /// Whether `tensor` is pruned: a float of rank 2 or more, so no bias and no norm, that the
    /// expressions do not leave out.
    pub(super) fn selects(&self, tensor: &TensorInfo) -> bool {
        let float = matches!(tensor.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16);
        float && tensor.shape.len() >= 2 && !tensor.is_empty() && self.admits(&tensor.name)
    }

    /// Whether the expressions leave a tensor of this name in.
    pub fn admits(&self, name: &str) -> bool {
        let found = |p: &Option<TensorPattern>| p.as_ref().map(|p| p.is_match(name));
        found(&self.include).unwrap_or(true) && !found(&self.exclude).unwrap_or(false)
    }

    /// Refuses expressions that do nothing, for tensors of `names`, of which `selected` are pruned.
    ///
    /// # Errors
    /// [`Error::Argument`] when nothing is selected, or an expression matches no tensor at all or
    /// does not compile.
    pub fn check_matches(&self, names: &[&str], selected: usize) -> Result<()> {
        let some = || names.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        for (option, pattern) in self.expressions() {
            if let Some(wrong) = pattern.error() {
                return Err(Error::argument(option, format!("`{pattern}`: {wrong}")));
            }
            if !names.iter().any(|name| pattern.is_match(name)) {
                let message =
                    format!("`{pattern}` matches none of {} tensors: {}", names.len(), some());
                return Err(Error::argument(option, message));
            }
        }
        if selected == 0 {
            let message = format!(
                "none of {} tensors is a float of rank 2 or more and asked for: {}",
                names.len(),
                some()
            );
            return Err(Error::argument("include", message));
        }
        Ok(())
    }
}

/// What became of the tensors.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Share of zeros over the tensors that were pruned.
    pub sparsity: f64,
    /// Every tensor.
    pub tensors: Vec<TensorReport>,
    /// What became of the files beside the weights, where the output is a folder.
    pub files: Companions,
}

/// One tensor of the output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorReport {
    /// Name.
    pub name: String,
    /// Extents.
    pub shape: Vec<usize>,
    /// Type, which stays: as the format calls it.
    pub dtype: String,
    /// Share of zeros, counted in what was written; none where the type's zeros are not known.
    pub sparsity: Option<f64>,
    /// Elements that are not zero; none likewise.
    pub nonzero: Option<u64>,
    /// Highest |w| that was pruned; none for a tensor that was not.
    pub threshold: Option<f32>,
}
