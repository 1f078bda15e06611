//! How a pretrained model is pruned.
use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::allocate::Allocate;
use crate::prune::{Pattern, PruningSpec, Scope, Score, TensorPattern, TensorTarget};
use crate::{Error, Result};

/// The share that goes of weights with a share of their own, by their names in a block's graph.
pub(super) type Shares = BTreeMap<String, f64>;

/// What chooses the weights of a matrix that go, and what becomes of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Method {
    /// Those of lowest |w|; no data is looked at.
    Magnitude,
    /// Those of lowest |w| times the length of the input (Sun et al. 2024).
    Wanda,
    /// Input by input, those that cost least once the inputs behind have made up for it (Frantar
    /// and Alistarh 2023).
    SparseGpt,
    /// Those that count least while the outputs of each layer are brought to those of the dense
    /// model, step by step (Boža 2024), on the inputs that the pruned one gives it. Of each output
    /// unit as many.
    Admm,
}

crate::settings::steps! {
    /// Settings of [`Pretrained::prune`](crate::pretrained::Pretrained::prune).
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub struct PruneOptions {
        /// What chooses the weights.
        pub method: Method,
        /// Share of the weights of each matrix to prune; an N:M pattern says it itself.
        pub sparsity: f64,
        /// How the sparsity is divided among the blocks.
        #[serde(default, skip_serializing_if = "is_uniform")]
        pub allocate: Allocate,
        /// What is ranked together: [`Scope::Unit`] or [`Scope::Layer`].
        pub scope: Scope,
        /// [`Pattern::Element`], N of M inputs, or N of M shared by V outputs, which SparseGPT and
        /// ADMM do not take.
        pub pattern: Pattern,
        /// Prune only the weights whose name this is found in.
        pub only: Option<TensorPattern>,
        /// Leave the weights whose name this is found in.
        pub exclude: Option<TensorPattern>,
        /// A folder for what goes from block to block, which then waits in a file there in place
        /// of host memory. It changes nothing that comes out.
        #[serde(skip)]
        pub activations: Option<PathBuf>,
    }
}

/// A work that has begun stays the same work without the setting.
fn is_uniform(allocate: &Allocate) -> bool {
    *allocate == Allocate::Uniform
}

impl Method {
    /// What errors and files call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Magnitude => "magnitude",
            Self::Wanda => "wanda",
            Self::SparseGpt => "sparsegpt",
            Self::Admm => "admm",
        }
    }

    /// Whether it looks at what goes into a matrix.
    pub fn needs_data(self) -> bool {
        self != Self::Magnitude
    }
}

impl PruneOptions {
    /// By `method` to `sparsity`, as the method's paper does it: Wanda ranks the weights of each
    /// output unit.
    pub fn new(method: Method, sparsity: f64) -> Self {
        let scope = match method {
            Method::Wanda | Method::Admm => Scope::Unit,
            Method::Magnitude | Method::SparseGpt => Scope::Layer,
        };
        Self {
            method,
            sparsity,
            allocate: Allocate::Uniform,
            scope,
            pattern: Pattern::Element,
            only: None,
            exclude: None,
            activations: None,
        }
    }

    /// # Errors
    /// [`Error::Argument`] for a sparsity out of range, a scope that one block cannot have, or a
    /// pattern that the method does not take.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.scope == Scope::Global {
            let message = "blocks are pruned one after the other, so no ranking goes over all of \
                           them; take unit or layer";
            return Err(Error::argument("scope", message));
        }
        if self.method == Method::SparseGpt && self.scope == Scope::Unit {
            let message = "SparseGPT ranks the weights of all units together; take layer";
            return Err(Error::argument("scope", message));
        }
        if self.method == Method::Admm && self.scope == Scope::Layer {
            let message = "ADMM ranks the weights of each unit; take unit";
            return Err(Error::argument("scope", message));
        }
        let moves = matches!(self.method, Method::SparseGpt | Method::Admm);
        if moves && self.pattern.vectors().is_some() {
            let (pattern, method) = (self.pattern, self.method.name());
            let message = format!(
                "{pattern}: {method} chooses the weights of each output unit by itself, and these \
                 share theirs; take magnitude or wanda"
            );
            return Err(Error::argument("pattern", message));
        }
        if self.allocate != Allocate::Uniform && self.pattern != Pattern::Element {
            let pattern = self.pattern;
            let message = format!(
                "{pattern} leaves as many of each group in every block; take uniform, or the \
                 pattern unstructured"
            );
            return Err(Error::argument("allocate", message));
        }
        self.spec(&[], &Shares::new()).validate()?;
        self.allocate.validate(self.sparsity)
    }

    /// Share of the weights that go: the pattern's, where it says one.
    pub(crate) fn share(&self) -> f64 {
        self.pattern.sparsity().ok().flatten().unwrap_or(self.sparsity)
    }

    /// Share of the weight `name` of a block's graph that goes.
    pub(super) fn share_of(&self, name: &str, shares: &Shares) -> f64 {
        shares.get(name).copied().unwrap_or_else(|| self.share())
    }

    /// Whether the weight `name` of the file is pruned.
    pub(crate) fn prunes(&self, name: &str) -> bool {
        let found = |pattern: &Option<TensorPattern>| pattern.as_ref().map(|p| p.is_match(name));
        found(&self.only) != Some(false) && found(&self.exclude) != Some(true)
    }

    /// The specification of a block, whose weights called `dense` are left.
    pub(super) fn spec(&self, dense: &[String], shares: &Shares) -> PruningSpec {
        let score = match self.method {
            Method::Magnitude => Score::Magnitude,
            Method::Wanda => Score::Wanda,
            // Nothing is ranked by it: the specification says which weights are pruned.
            Method::SparseGpt | Method::Admm => Score::Magnitude,
        };
        // Groups are within a unit anyway.
        let in_groups = self.pattern.groups().is_some() || self.pattern.vectors().is_some();
        let scope = if in_groups { Scope::Layer } else { self.scope };
        let own = |(name, share): (&String, f64)| {
            TensorTarget::new(format!("^{}$", regex::escape(name)), share)
        };
        let dense = dense.iter().map(|name| (name, 0.0));
        let own = dense.chain(shares.iter().map(|(name, &share)| (name, share))).map(own);
        let spec = PruningSpec::to(self.share());
        spec.score(score).scope(scope).pattern(self.pattern).weight_sparsity_map(own.collect())
    }
}
