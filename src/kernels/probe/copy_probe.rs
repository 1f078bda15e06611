//! `copy_probe`: storage to storage, to measure bandwidth.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `out[i] = x[i]`, four words at a time.
#[derive(Debug, Clone, Copy)]
pub struct CopyProbe {
    /// `[len]`
    pub x: Slot,
    /// `[len]`
    pub out: Slot,
    /// Words, a multiple of 4.
    pub len: u32,
    /// Vectors of four words that each invocation copies.
    pub vectors: u32,
}

crate::uniform! {
    /// Uniform of [`CopyProbe`].
    pub struct CopyProbeParams {
        /// Vectors of four words.
        len: u32,
        /// Vectors from one that an invocation copies to its next.
        stride: u32,
    }
}

impl CopyProbe {
    fn stride(&self) -> u32 {
        (self.len / 4).div_ceil(self.vectors)
    }
}

impl Kernel for CopyProbe {
    const NAME: &'static str = "copy_probe";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "copy_probe.wgsl");
    const OPERANDS: &'static [Operand] = &[read("x"), write("out")];
    type Params = CopyProbeParams;

    fn bind(&self) -> Vec<Bound> {
        vec![self.x.needs(self.len.into()), self.out.needs(self.len.into())]
    }

    fn params(&self) -> CopyProbeParams {
        CopyProbeParams { len: self.len / 4, stride: self.stride() }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("VECTORS", self.vectors.into())]
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.stride())
    }

    fn check(&self) -> Result<(), String> {
        let Self { len, vectors, .. } = self;
        if !len.is_multiple_of(4) {
            return Err(format!("len {len} must be a multiple of 4"));
        }
        if !(1..=16).contains(vectors) {
            return Err(format!("vectors {vectors} must be 1 to 16"));
        }
        Ok(())
    }
}
