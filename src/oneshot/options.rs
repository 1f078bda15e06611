//! What to prune in a file, and how far.
use crate::prune::{Pattern, Scope, TensorPattern};
use crate::storage::TensorInfo;
use crate::{Error, Result};

/// Settings of [`super::prune_file`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Share of the weights to prune, 0 to 1: of each tensor, or of all of them together.
    pub sparsity: f64,
    /// Which weights are ranked together: those of a tensor or of all, not of a unit.
    pub scope: Scope,
    /// [`Pattern::Element`], or N:M along each weight's inputs, which a product sums over; then the
    /// sparsity is `1 - n / m`, and weights that M does not divide along them stay dense. Or N:M
    /// shared by V outputs, by the means of their |w|.
    pub pattern: Pattern,
    /// Rows and columns of the blocks that are kept or pruned as one, by the mean of their |w|: on
    /// a grid over each tensor as a matrix whose columns are its last axis. Then the sparsity is
    /// that of blocks.
    pub block: Option<[u32; 2]>,
    /// The axis of the inputs, which groups of N:M run along, of all weights; from the last one
    /// where it is negative. By default what each tensor is taken for says it.
    pub axis: Option<isize>,
    /// Tensors that are weights too, whatever they are taken for: those whose name it is found in.
    pub include: Option<TensorPattern>,
    /// Tensors to leave as they are: those whose name it is found in. Goes before `include`.
    pub exclude: Option<TensorPattern>,
    /// Of the weights only those to prune whose name it is found in. All by default.
    pub only: Option<TensorPattern>,
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
            axis: None,
            include: None,
            exclude: None,
            only: None,
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
            return refuse(
                "scope",
                "unit: it is for scores that need data; write layer or global".into(),
            );
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
        self.pattern.check_files()?;
        let in_groups = self.pattern.groups().is_some() || self.pattern.vectors().is_some();
        if self.axis.is_some() && !in_groups {
            let message = format!("it says where groups run: pattern {} has none", self.pattern);
            return refuse("axis", message);
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
        let all = [("include", &self.include), ("exclude", &self.exclude), ("only", &self.only)];
        all.into_iter().filter_map(|(option, pattern)| Some((option, pattern.as_ref()?)))
    }

    /// Whether a tensor of this name is a weight whatever it is taken for.
    pub(super) fn includes(&self, name: &str) -> bool {
        self.include.as_ref().is_some_and(|p| p.is_match(name))
    }

    pub(super) fn excludes(&self, name: &str) -> bool {
        self.exclude.as_ref().is_some_and(|p| p.is_match(name))
    }

    /// Whether a weight of this name is to be pruned.
    pub(super) fn admits(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|p| p.is_match(name)) && !self.excludes(name)
    }

    /// What expressions ask for in vain.
    ///
    /// # Errors
    /// [`Error::Argument`] when one does not compile, or one that asks for tensors to prune matches
    /// none.
    pub(super) fn check_expressions(&self, tensors: &[&TensorInfo]) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        for (option, pattern) in self.expressions() {
            if let Some(wrong) = pattern.error() {
                return Err(Error::argument(option, format!("`{pattern}`: {wrong}")));
            }
            if tensors.iter().any(|t| pattern.is_match(&t.name)) {
                continue;
            }
            let some: Vec<&str> = tensors.iter().take(5).map(|t| t.name.as_str()).collect();
            let (count, some) = (tensors.len(), some.join(", "));
            let message = format!("`{pattern}` matches none of {count} tensors: {some}");
            if option != "exclude" {
                return Err(Error::argument(option, message));
            }
            warnings.push(format!("--exclude {message}"));
        }
        Ok(warnings)
    }
}
