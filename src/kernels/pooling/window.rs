//! Windows over images, for pooling: `shaders/common/window.wgsl`.
use serde::{Deserialize, Serialize};

use crate::kernels::Convolution;

/// What a window becomes. Padding is no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Its largest value; the gradient goes to the first that is as large, row by row.
    Max,
    /// The mean of its values.
    Mean,
}

impl Pooling {
    pub(super) fn constants(self) -> Vec<(&'static str, f64)> {
        vec![("MEAN", f64::from(u8::from(self == Self::Mean)))]
    }
}

crate::uniform! {
    /// Uniform of [`Pool`](crate::kernels::Pool) and
    /// [`PoolGradient`](crate::kernels::PoolGradient).
    pub struct WindowParams {
        /// Images of a batch.
        images: u32,
        /// Height of an image.
        height: u32,
        /// Width of an image.
        width: u32,
        /// Channels of an image and of the result.
        channels: u32,
        /// Height of the result.
        out_height: u32,
        /// Width of the result.
        out_width: u32,
        /// Height of a window.
        window_height: u32,
        /// Width of a window.
        window_width: u32,
        /// Rows from one window to the next.
        stride_y: u32,
        /// Columns from one window to the next.
        stride_x: u32,
        /// Rows above the image.
        pad_y: u32,
        /// Columns left of it.
        pad_x: u32,
    }
}

impl WindowParams {
    pub(super) fn new(s: &Convolution) -> Self {
        Self {
            images: s.images,
            height: s.size[0],
            width: s.size[1],
            channels: s.channels,
            out_height: s.out[0],
            out_width: s.out[1],
            window_height: s.kernel[0],
            window_width: s.kernel[1],
            stride_y: s.stride[0],
            stride_x: s.stride[1],
            pad_y: s.pad[0],
            pad_x: s.pad[1],
        }
    }
}

/// Pooling is as a convolution of one channel at a time: it has its extents.
pub(super) fn check(s: &Convolution) -> Result<(), String> {
    s.check()?;
    if s.groups != s.channels || s.outputs != s.channels || s.dilation != [1, 1] {
        return Err(format!("{s:?} is no window over one channel at a time"));
    }
    for d in 0..2 {
        // Every window holds a pixel.
        let last = (s.out[d] - 1) * s.stride[d];
        if s.pad[d] >= s.kernel[d] || last >= s.pad[d] + s.size[d] {
            return Err(format!("{s:?} has a window of nothing but padding"));
        }
    }
    Ok(())
}

/// The pixels of each window: for each result, its place and those of the pixels, row by row.
pub(super) fn windows(s: &Convolution) -> Vec<Vec<usize>> {
    let mut windows = vec![Vec::new(); s.output_len() as usize];
    s.terms().for_each(|[x, _, y]| windows[y].push(x));
    windows
}
