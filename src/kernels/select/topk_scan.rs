//! `topk_scan`: numbers the ties; [`crate::kernels::Selection`] has the whole.
use super::topk::TOPK_STATE_WORDS;
use crate::gpu::{Bound, Kernel, Operand, Slot, write};

/// Turns the counts of ties into the number of ties before each chunk.
#[derive(Debug, Clone, Copy)]
pub struct TopkScan {
    /// Counts; see [`TopkTies::words`](crate::kernels::TopkTies::words).
    pub ties: Slot,
    /// [`crate::kernels::TopkState`]
    pub state: Slot,
    /// Chunks of the tensor.
    pub chunks: u32,
}

crate::uniform! {
    /// Uniform of [`TopkScan`].
    pub struct TopkScanParams {
        /// Chunks.
        chunks: u32,
        /// Chunks that one invocation numbers.
        run: u32,
    }
}

impl Kernel for TopkScan {
    const NAME: &'static str = "topk_scan";
    const WGSL: &'static str =
        crate::wgsl!("common/topk.wgsl", "common/range.wgsl", "topk_scan.wgsl");
    const OPERANDS: &'static [Operand] = &[write("ties"), write("state")];
    type Params = TopkScanParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.ties.needs(u64::from(self.chunks) + 3), self.state.needs(TOPK_STATE_WORDS.into())]
    }

    fn params(&self) -> TopkScanParams {
        TopkScanParams { chunks: self.chunks, run: self.chunks.div_ceil(256) }
    }

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }
}
