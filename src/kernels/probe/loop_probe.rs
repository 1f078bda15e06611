//! `loop_probe`: as many loop iterations as a kernel may make.
use crate::gpu::{Bound, Kernel, Operand, Slot, write};

/// `count[i] += iterations`, one by one.
#[derive(Debug, Clone, Copy)]
pub struct LoopProbe {
    /// `[len]`
    pub count: Slot,
    /// Invocations.
    pub len: u32,
    /// Iterations of each.
    pub iterations: u32,
}

crate::uniform! {
    /// Uniform of [`LoopProbe`].
    pub struct LoopProbeParams {
        /// Invocations.
        len: u32,
        /// Iterations of each.
        iterations: u32,
    }
}

impl Kernel for LoopProbe {
    const NAME: &'static str = "loop_probe";
    const WGSL: &'static str = crate::wgsl!("loop_probe.wgsl");
    const OPERANDS: &'static [Operand] = &[write("count")];
    type Params = LoopProbeParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.count.needs(self.len.into())]
    }

    fn params(&self) -> LoopProbeParams {
        LoopProbeParams { len: self.len, iterations: self.iterations }
    }

    fn grid(&self) -> [u32; 3] {
        [self.len.div_ceil(64), 1, 1]
    }
}
