//! Layers by name: what a recipe declares, and what the models of the zoo are made of. One file a
//! layer.
mod activation;
mod attention;
mod builder;
mod conv;
mod dropout;
mod embedding;
mod flatten;
mod gated;
mod gru;
mod linear;
mod lstm;
mod norm;
mod pool;
mod residual;
mod unit;

pub use activation::Activate;
pub use attention::Attention;
pub use builder::Builder;
pub use conv::Conv;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use flatten::Flatten;
pub use gated::Gated;
pub use gru::Gru;
pub use linear::Linear;
pub use lstm::Lstm;
pub use norm::{BatchNorm, LayerNorm, LocalResponseNorm, RmsNorm, Softmax};
pub use pool::{GlobalMeanPool, Pool};
pub use residual::Residual;
pub use unit::Normalizer;

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::graph::Tensor;

/// What a layer's struct knows: how to continue a graph.
pub trait Build {
    /// Appends the layer to the builder's graph and returns its output.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] when `x` does not fit, [`crate::Error::Argument`] for a setting out
    /// of its range or a name that is taken.
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor>;
}

macro_rules! layers {
    ($($(#[$meta:meta])* $kind:ident = $name:literal),+ $(,)?) => {
        /// A layer; in a recipe a table with its `kind` and its settings.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(tag = "kind")]
        pub enum Layer {
            $($(#[$meta])* #[serde(rename = $name)] $kind($kind)),+
        }

        impl Layer {
            /// Every `kind`.
            pub const KINDS: &'static [&'static str] = &[$($name),+];
        }

        impl Build for Layer {
            fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
                match self {
                    $(Self::$kind(layer) => layer.build(builder, x)),+
                }
            }
        }

        $(impl From<$kind> for Layer {
            fn from(layer: $kind) -> Self {
                Self::$kind(layer)
            }
        })+
    };
}

layers! {
    /// Element by element.
    Activate = "activate",
    /// Multi-head attention with its projections.
    Attention = "attention",
    /// Batch normalisation with scale and shift.
    BatchNorm = "batch_norm",
    /// A convolution of images or sequences.
    Conv = "conv",
    /// Elements left out at random.
    Dropout = "dropout",
    /// Rows of a table by tokens.
    Embedding = "embedding",
    /// All axes but the first as one.
    Flatten = "flatten",
    /// Fully connected, each output times a gate of its own.
    Gated = "gated",
    /// Means over images.
    GlobalMeanPool = "global_mean_pool",
    /// Gated recurrent units.
    Gru = "gru",
    /// Layer normalisation with scale and shift.
    LayerNorm = "layer_norm",
    /// Fully connected over the last axis.
    Linear = "linear",
    /// Local response normalisation.
    LocalResponseNorm = "local_response_norm",
    /// Long short-term memory.
    Lstm = "lstm",
    /// Windows of images, pooled.
    Pool = "pool",
    /// Layers beside a connection that leaps over them.
    Residual = "residual",
    /// RMS normalisation with a scale.
    RmsNorm = "rms_norm",
    /// Softmax over the last axis.
    Softmax = "softmax",
}
