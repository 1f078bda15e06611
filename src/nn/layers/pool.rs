//! `pool` and `global_mean_pool`.
use serde::{Deserialize, Serialize};

use super::{Build, Builder};
use crate::Result;
use crate::graph::{Padding, PoolOptions, Tensor};
use crate::kernels::Pooling;
use crate::settings::steps;

steps! {
    const
    /// Each channel of images `[batch, height, width, channels]` in windows.
    #[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(deny_unknown_fields)]
    pub struct Pool {
        /// What a window becomes.
        pub pooling: Pooling,
        /// Height and width of a window.
        pub window: [u32; 2],
        /// From one window to the next; the window where left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub stride: Option<[u32; 2]>,
        /// How windows reach over the edges.
        #[serde(default = "valid")]
        pub padding: Padding,
    }
}

fn valid() -> Padding {
    Padding::Valid
}

impl Pool {
    /// The largest of each square window, `stride` apart.
    pub fn max(window: u32, stride: u32, padding: Padding) -> Self {
        let stride = Some([stride; 2]);
        Self { pooling: Pooling::Max, window: [window; 2], stride, padding }
    }
}

impl Build for Pool {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        let &Self { pooling, window, stride, padding } = self;
        let options = PoolOptions { window, stride: stride.unwrap_or(window), padding };
        builder.graph.pool(x, pooling, options)
    }
}

/// The mean of each channel: `[batch, channels]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GlobalMeanPool {}

impl Build for GlobalMeanPool {
    fn build(&self, builder: &mut Builder, x: Tensor) -> Result<Tensor> {
        builder.graph.global_mean_pool(x)
    }
}
