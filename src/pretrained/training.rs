//! A model that learns on: which of its tensors move, and which of their weights are pruned.
use super::model::Pretrained;
use crate::nn::Network;
use crate::prune::{PruningSpec, TensorPattern};
use crate::session::Session;
use crate::{Error, Result};

/// Share of a tensor's weights that must be zero for it to count as pruned. Models that nobody has
/// pruned have some zeros, too: of 16-bit weights one in some thousands.
const PRUNED: f64 = 0.01;

/// What of a model is trained.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trained {
    /// Weights of the tensors that move.
    pub weights: u64,
    /// Weights of the others.
    pub frozen: u64,
    /// Of those that move, weights that a pruning may mask.
    pub prunable: u64,
    /// Of these, weights that are pruned in the file: the zeros of all tensors of which at least a
    /// hundredth is zero.
    pub pruned: u64,
}

impl Trained {
    /// Share of the prunable weights that are pruned.
    pub fn sparsity(&self) -> f64 {
        if self.prunable == 0 { 0.0 } else { self.pruned as f64 / self.prunable as f64 }
    }

    /// The masks that hold what is pruned in the file; `None` where nothing is.
    pub fn held(&self) -> Option<PruningSpec> {
        (self.pruned > 0).then(|| PruningSpec::to(self.sparsity()))
    }
}

impl Pretrained {
    /// Leaves of `network`, which is this model's, all tensors as they are but those whose name in
    /// the file `only` is found in and `exclude` is not. Running statistics go with the batches,
    /// whatever is chosen.
    ///
    /// # Errors
    /// [`Error::Argument`] for an expression that is found in no name, and where nothing is left to
    /// train.
    pub fn freeze(
        &self,
        network: &mut Network,
        only: Option<&TensorPattern>,
        exclude: Option<&TensorPattern>,
    ) -> Result<()> {
        let trainable: Vec<_> =
            network.graph.parameters().iter().filter(|p| p.trainable).cloned().collect();
        for (option, pattern) in [("only", only), ("exclude", exclude)] {
            let Some(pattern) = pattern else { continue };
            pattern.check(option, pattern)?;
            if !trainable.iter().any(|p| pattern.is_match(&p.name)) {
                let (path, first) = (self.path().display(), &trainable[0].name);
                let message = format!(
                    "`{pattern}` is found in the name of no tensor that {path} can be trained by; \
                     they are called like {first}"
                );
                return Err(Error::argument(option, message));
            }
        }
        let moves = |name: &str| {
            only.is_none_or(|p| p.is_match(name)) && !exclude.is_some_and(|p| p.is_match(name))
        };
        if !trainable.iter().any(|p| moves(&p.name)) {
            return Err(Error::argument("exclude", "it leaves no tensor to train"));
        }
        let frozen = trainable.iter().filter(|p| !moves(&p.name));
        frozen.into_iter().try_for_each(|p| network.graph.freeze(p.tensor))
    }

    /// What of `network`, which is this model's, is trained, and what of that is pruned in the
    /// file. The weights that may be pruned are read once.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn trained(&self, network: &Network) -> Result<Trained> {
        let mut trained = Trained::default();
        for p in network.graph.parameters() {
            let len = u64::from(p.shape.elements().unwrap_or(0));
            match (p.trainable, p.frozen) {
                (true, _) => trained.weights += len,
                (false, true) => trained.frozen += len,
                // Statistics are no weights.
                (false, false) => {}
            }
            if p.masked {
                trained.prunable += len;
                let zeros = self.files().zeros(&p.name)?;
                trained.pruned += if zeros as f64 >= PRUNED * len as f64 { zeros } else { 0 };
            }
        }
        Ok(trained)
    }

    /// Gives `session`, of this model's network, the weights of the file, and masks where they are
    /// pruned ([`Trained::pruned`]), so that these stay zero.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_pruned(&self, session: &mut Session) -> Result<()> {
        self.load(session)?;
        session.mask_zeros(PRUNED).map(drop)
    }

    /// Gives `session`, of this model's network, the weights of the file that nothing has given a
    /// value: those that a checkpoint leaves out, since they are not trained.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_missing(&self, session: &mut Session) -> Result<()> {
        if session.uninitialised().is_empty() {
            return Ok(());
        }
        let missing = session.uninitialised().to_vec();
        let sources = self.sources()?;
        let sources = sources.iter().filter(|s| missing.contains(&s.name));
        sources.into_iter().try_for_each(|s| session.set_weights(&s.name, &self.parameter(s)?))
    }
}
