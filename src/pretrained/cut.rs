//! The graphs of a model's cuts.
use super::architectures::Input;
use super::layers::{Layers, Source};
use super::model::Pretrained;
use crate::Result;
use crate::graph::{Graph, Shape, Tensor};

/// A piece of a model that rows go through on their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cut {
    /// What is before the first block.
    Embed,
    /// A block.
    Block(u32),
    /// A part of a block: its attention, its feed-forward layer.
    Part(u32, u32),
    /// What is behind the last block.
    Head,
}

/// The graph of a cut, or of a whole model.
#[derive(Debug)]
#[non_exhaustive]
pub struct CutGraph {
    /// Its layers.
    pub graph: Graph,
    /// Of each parameter of the graph, in their order, where it comes from.
    pub sources: Vec<Source>,
    /// What the names of the file have in front of those of the sources.
    pub prefix: String,
    /// What the host writes `[batch, columns]`.
    pub features: Tensor,
    /// What comes out of it.
    pub output: Tensor,
    /// What is 0 where a position of a row is padding `[batch, length]`, where rows have any.
    pub seen: Option<Tensor>,
}

/// In front of the names of the dense copy of a cut.
pub(crate) const DENSE: &str = "dense/";

/// Two copies of a cut, each with its features and its output.
#[derive(Debug)]
pub(crate) struct PairGraph {
    pub(crate) graph: Graph,
    /// Of the parameters of both, of the pruned one first.
    pub(crate) sources: Vec<Source>,
    pub(crate) prefix: String,
    pub(crate) pruned: [Tensor; 2],
    pub(crate) dense: [Tensor; 2],
    /// As in [`CutGraph`], of the pruned one.
    pub(crate) seen: Option<Tensor>,
}

impl Pretrained {
    /// The graph of `cut` for rows of `shape`, the extents of a row of what goes in: `[length,
    /// width]` of tokens, `[height, width, channels]` of images. In a batch's rows of features,
    /// [`seen`](Layers::seen) follows them, and for [`Cut::Embed`] the types of the tokens, where
    /// rows have padding.
    pub(crate) fn cut(&self, cut: Cut, batch: u32, shape: &[u32]) -> Result<CutGraph> {
        let prefix = self.prefix(cut);
        let mut layers = Layers::new(prefix.clone());
        let [features, output] = self.append(&mut layers, cut, batch, shape)?;
        let Layers { graph, sources, seen, .. } = layers;
        Ok(CutGraph { graph, sources, prefix, features, output, seen })
    }

    /// What all names of a cut begin with.
    pub(crate) fn prefix(&self, cut: Cut) -> String {
        match cut {
            Cut::Block(i) | Cut::Part(i, _) => self.architecture().prefix(i),
            Cut::Embed | Cut::Head => String::new(),
        }
    }

    /// Appends `cut` to `layers`, and says where its features go in and its output comes out.
    pub(crate) fn append(
        &self,
        layers: &mut Layers,
        cut: Cut,
        batch: u32,
        shape: &[u32],
    ) -> Result<[Tensor; 2]> {
        let architecture = self.architecture();
        let elements: u32 = shape.iter().product();
        let more = match cut {
            _ if !self.is_padded() => 0,
            Cut::Embed => 2,
            Cut::Block(_) | Cut::Part(..) => 1,
            Cut::Head => 0,
        };
        let length = shape[0];
        let features = layers.graph.features(batch, elements + more * length);
        let (mut x, mut types) = (features, None);
        if more > 0 {
            let mut part = |i| {
                let from = elements + i * length;
                layers.graph.slice(features, 1, from..from + length)
            };
            let seen = part(0)?;
            types = if more > 1 { Some(part(1)?) } else { None };
            layers.seen = Some(seen);
            x = layers.graph.slice(features, 1, 0..elements)?;
        }
        let x = layers.graph.reshape(x, Shape::new([&[batch], shape].concat()))?;
        layers.can_prune(matches!(cut, Cut::Block(_) | Cut::Part(..)));
        let output = match cut {
            Cut::Embed => architecture.embed(layers, x, types)?,
            Cut::Block(block) => {
                let mut parts = 0..architecture.parts(block);
                parts.try_fold(x, |x, part| architecture.part(layers, block, part, x))?
            }
            Cut::Part(block, part) => architecture.part(layers, block, part, x)?,
            Cut::Head => architecture.head(layers, x)?,
        };
        Ok([features, output])
    }

    /// Two copies of a cut in one graph: the one that is pruned, and behind it the dense one, whose
    /// parameters are called [`DENSE`] and their name.
    pub(crate) fn pair(&self, cut: Cut, batch: u32, shape: &[u32]) -> Result<PairGraph> {
        let prefix = self.prefix(cut);
        let mut layers = Layers::new(prefix.clone());
        let pruned = self.append(&mut layers, cut, batch, shape)?;
        let seen = layers.seen;
        layers.again(DENSE);
        let dense = self.append(&mut layers, cut, batch, shape)?;
        let Layers { graph, sources, .. } = layers;
        Ok(PairGraph { graph, sources, prefix, pruned, dense, seen })
    }

    /// Whether its rows also say which positions are padding.
    pub(crate) fn is_padded(&self) -> bool {
        matches!(self.architecture().input(), Input::Tokens { types: Some(_), .. })
    }
}
