//! `fma_probe`: multiply-adds in registers, to measure their rate.
use crate::gpu::{Bound, Kernel, MAX_LOOP_ITERATIONS, Operand, Slot, grid_1d, write};

/// `out[i]`: the sum of lanes that each counted `4 * iterations` steps; see
/// [`fma_probe_reference`].
#[derive(Debug, Clone, Copy)]
pub struct FmaProbe {
    /// `[len]`
    pub out: Slot,
    /// Invocations.
    pub len: u32,
    /// Iterations of each: four steps of every lane.
    pub iterations: u32,
    /// Chains of four lanes that do not wait for one another: 2, 4 or 8.
    pub chains: u32,
    /// Whether a step is `fma`, or a product and a sum that the compiler may contract.
    pub fused: bool,
}

crate::uniform! {
    /// Uniform of [`FmaProbe`].
    pub struct FmaProbeParams {
        /// Invocations.
        len: u32,
        /// Iterations of each.
        iterations: u32,
        /// What each step multiplies by.
        factor: f32,
        /// What each step adds.
        term: f32,
    }
}

impl FmaProbe {
    /// Floating-point operations of a launch, a multiply-add as two.
    pub fn flops(&self) -> f64 {
        let lanes = f64::from(self.chains) * 4.0;
        2.0 * f64::from(self.len) * f64::from(self.iterations) * 4.0 * lanes
    }
}

impl Kernel for FmaProbe {
    const NAME: &'static str = "fma_probe";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "fma_probe.wgsl");
    const OPERANDS: &'static [Operand] = &[write("out")];
    type Params = FmaProbeParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.out.needs(self.len.into())]
    }

    fn params(&self) -> FmaProbeParams {
        let Self { len, iterations, .. } = *self;
        FmaProbeParams { len, iterations, factor: 1.0, term: 1.0 }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("CHAINS", self.chains.into()), ("FUSED", u8::from(self.fused).into())]
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }

    fn check(&self) -> Result<(), String> {
        let Self { iterations, chains, .. } = self;
        if ![2, 4, 8].contains(chains) {
            return Err(format!("chains {chains} must be 2, 4 or 8"));
        }
        if *iterations > MAX_LOOP_ITERATIONS {
            return Err(format!("iterations {iterations} must be at most {MAX_LOOP_ITERATIONS}"));
        }
        Ok(())
    }
}

/// Host reference, and exact in f32: every sum is a whole number below 2^24.
pub fn fma_probe_reference(len: u32, iterations: u32, chains: u32) -> Vec<f64> {
    let one = |i: u32| {
        let lanes = 0..chains * 4;
        lanes.map(|j| f64::from(i % 64 + j) + 4.0 * f64::from(iterations)).sum()
    };
    (0..len).map(one).collect()
}
