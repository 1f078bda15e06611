//! Kernels that count what they keep and change: `shaders/common/tally.wgsl`.
use super::{BlockMask, BlocksParams, NmMask, NmMaskParams, ThresholdMask, ThresholdMaskParams};
use crate::Result;
use crate::gpu::{Bound, Kernel, Operand, PlanBuilder, Uniform, Variant};

/// A kernel whose workgroups add up their counts before these meet others' on one word.
pub(super) struct Tallied<K>(K);

crate::kernels::parts! {
    Tallied<BlockMask>: BlocksParams,
    Tallied<NmMask>: NmMaskParams,
    Tallied<ThresholdMask>: ThresholdMaskParams,
}

/// Appends `kernel` to `plan`: with tallies on a GPU, where atomics on one word wait for each other;
/// without on a software adapter, where they are cheap and barriers are not.
pub(super) fn push<K>(kernel: K, plan: &mut PlanBuilder) -> Result<()>
where
    K: Kernel<Params: Uniform<Tallied<K>>>,
{
    if plan.target().software { plan.push(kernel) } else { plan.push(Tallied(kernel)) }
}

impl<K: Kernel<Params: Uniform<Self>>> Kernel for Tallied<K> {
    const NAME: &'static str = K::NAME;
    const WGSL: &'static str = K::WGSL;
    const VARIANTS: &'static [Variant] = K::VARIANTS;
    const OPERANDS: &'static [Operand] = K::OPERANDS;
    type Params = K::Params;

    fn bind(&self) -> Vec<Bound> {
        self.0.bind()
    }

    fn params(&self) -> K::Params {
        self.0.params()
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        [self.0.constants(), vec![("TALLY", 1.0)]].concat()
    }

    fn variant(&self) -> Option<&'static Variant> {
        self.0.variant()
    }

    fn grid(&self) -> [u32; 3] {
        self.0.grid()
    }

    fn check(&self) -> std::result::Result<(), String> {
        self.0.check()
    }
}
