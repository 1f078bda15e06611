//! `topk_sample`: ranks of some values of a tensor; [`crate::kernels::Selection`] has the whole.
use super::topk::{Selection, TOPK_STATE_WORDS, protect};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Ranks of values at places that are spread over the tensor.
#[derive(Debug, Clone, Copy)]
pub struct TopkSample {
    /// `[len]`
    pub values: Slot,
    /// One bit per value; where it is set, the value ranks above all others.
    pub protect: Option<Slot>,
    /// The ranks of all tensors.
    pub sample: Slot,
    /// [`crate::kernels::TopkState`]
    pub state: Slot,
    /// The values that are ranked one by one.
    pub list: Slot,
    /// Ranks of earlier tensors.
    pub first: u32,
    /// Ranks of this one, at most `len`.
    pub count: u32,
    /// Ranks of all tensors.
    pub samples: u32,
    /// Values.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`TopkSample`].
    pub struct TopkSampleParams {
        /// Ranks of earlier tensors.
        first: u32,
        /// Ranks of this one.
        count: u32,
        /// Values to a rank, rounded down.
        stretch: u32,
        /// Values that are left of that.
        rest: u32,
        /// Ranks of all tensors.
        samples: u32,
    }
}

impl Kernel for TopkSample {
    const NAME: &'static str = "topk_sample";
    const WGSL: &'static str = crate::wgsl!(
        "common/bits.wgsl",
        "common/score.wgsl",
        "common/random.wgsl",
        "common/topk.wgsl",
        "common/range.wgsl",
        "common/list.wgsl",
        "common/rank.wgsl",
        "topk_sample.wgsl"
    );
    const OPERANDS: &'static [Operand] =
        &[read("values"), read("protect"), write("sample"), write("state"), write("list")];
    type Params = TopkSampleParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.values.needs(self.len.into()),
            protect(self.protect, self.len),
            self.sample.needs(self.samples.next_multiple_of(16).into()),
            self.state.needs(TOPK_STATE_WORDS.into()),
            self.list.needs(Selection::LIST_WORDS.into()),
        ]
    }

    fn params(&self) -> TopkSampleParams {
        let Self { first, count, samples, len, .. } = *self;
        TopkSampleParams { first, count, stretch: len / count, rest: len % count, samples }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("PROTECT", self.protect.is_some().into())]
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.count)
    }
}
