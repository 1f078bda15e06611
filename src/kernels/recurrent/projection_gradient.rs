//! `projection_gradient`: gradient of the outputs that a recurrent layer projects.
use super::shared::{Stride, check, flags};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Gradient of one step's projection before it was clipped; its tensors are `[length, rows,
/// width]`.
#[derive(Debug, Clone, Copy)]
pub struct ProjectionGradient {
    /// Rows of a batch.
    pub rows: u32,
    /// Outputs of the projection.
    pub width: u32,
    /// Which step, from 0.
    pub time: u32,
    /// Highest magnitude of a projected output.
    pub clip: Option<f32>,
    /// Gradient of the outputs.
    pub gradient: Slot,
    /// Where it is.
    pub from: Stride,
    /// What the step after sends back, and where it is; `None` in the last step.
    pub recurrent: Option<(Slot, Stride)>,
    /// The outputs before they were clipped.
    pub projected: Slot,
    /// The gradient.
    pub out: Slot,
}

crate::uniform! {
    /// Uniform of [`ProjectionGradient`].
    pub struct ProjectionGradientParams {
        /// Rows of a batch.
        rows: u32,
        /// Outputs of the projection.
        width: u32,
        /// Which step.
        time: u32,
        /// Place of the first row's gradient.
        gradient_begin: u32,
        /// From one row's gradient to the next.
        gradient_stride: u32,
        /// Place of the first row of what the step after sends back.
        recurrent_begin: u32,
        /// From one of its rows to the next.
        recurrent_stride: u32,
        /// Highest magnitude of a projected output.
        clip: f32,
    }
}

impl ProjectionGradient {
    /// Words up to and with those of this time.
    fn words(&self) -> u64 {
        (u64::from(self.time) + 1) * u64::from(self.rows) * u64::from(self.width)
    }
}

impl Kernel for ProjectionGradient {
    const NAME: &'static str = "projection_gradient";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "projection_gradient.wgsl");
    const OPERANDS: &'static [Operand] =
        &[read("gradient"), read("recurrent"), read("projected"), write("out")];
    type Params = ProjectionGradientParams;

    fn bind(&self) -> Vec<Bound> {
        let [rows, width] = [self.rows, self.width];
        vec![
            self.gradient.needs(self.from.end(rows, width)),
            self.recurrent.map_or(Bound::NONE, |(slot, at)| slot.needs(at.end(rows, width))),
            self.clip.map_or(Bound::NONE, |_| self.projected.needs(self.words())),
            self.out.needs(self.words()),
        ]
    }

    fn params(&self) -> ProjectionGradientParams {
        let recurrent = self.recurrent.map_or(Stride { begin: 0, stride: 0 }, |(_, at)| at);
        ProjectionGradientParams {
            rows: self.rows,
            width: self.width,
            time: self.time,
            gradient_begin: self.from.begin,
            gradient_stride: self.from.stride,
            recurrent_begin: recurrent.begin,
            recurrent_stride: recurrent.stride,
            clip: self.clip.unwrap_or(0.0),
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        flags([("CLIPS", self.clip.is_some()), ("RECURRENT", self.recurrent.is_some())])
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.rows.saturating_mul(self.width))
    }

    fn check(&self) -> Result<(), String> {
        check(self.rows, self.width, self.words())
    }
}
