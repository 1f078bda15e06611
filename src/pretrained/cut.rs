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
}

impl Pretrained {
    /// The graph of `cut` for rows of `shape`, the extents of a row of what goes in: `[length,
    /// width]` of tokens, `[height, width, channels]` of images. In a batch's rows of features,
    /// [`seen`](Layers::seen) follows them, and for [`Cut::Embed`] the types of the tokens, where
    /// rows have padding.
    pub(crate) fn cut(&self, cut: Cut, batch: u32, shape: &[u32]) -> Result<CutGraph> {
        let architecture = self.architecture();
        let prefix = match cut {
            Cut::Block(i) | Cut::Part(i, _) => architecture.prefix(i),
            Cut::Embed | Cut::Head => String::new(),
        };
        let mut layers = Layers::new(prefix.clone());
        let elements: u32 = shape.iter().product();
        let padded = self.is_padded();
        let more = match cut {
            _ if !padded => 0,
            Cut::Embed => 2,
            Cut::Block(_) | Cut::Part(..) => 1,
            Cut::Head => 0,
        };
        let length = shape[0];
        let features = layers.graph.features(batch, elements + more * length);
        let mut x = features;
        let mut types = None;
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
        let output = match cut {
            Cut::Embed => architecture.embed(&mut layers, x, types)?,
            Cut::Block(block) => {
                layers.can_prune(true);
                let mut parts = 0..architecture.parts(block);
                parts.try_fold(x, |x, part| architecture.part(&mut layers, block, part, x))?
            }
            Cut::Part(block, part) => {
                layers.can_prune(true);
                architecture.part(&mut layers, block, part, x)?
            }
            Cut::Head => architecture.head(&mut layers, x)?,
        };
        let Layers { graph, sources, .. } = layers;
        Ok(CutGraph { graph, sources, prefix, features, output })
    }

    /// Whether its rows also say which positions are padding.
    pub(crate) fn is_padded(&self) -> bool {
        matches!(self.architecture().input(), Input::Tokens { types: Some(_), .. })
    }
}
