//! `obs_sweep`: prunes a block of inputs one by one, those behind making up for each.
use crate::kernels::{MASK_STATE_WORDS, NmMask, Units};
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// Neighbouring inputs of a matrix, and where their part of the factor is: the upper triangle `U`
/// of `(X^T X)^-1 = U^T U`, of which a block has its own rows and columns, row-major.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputBlock {
    /// First input.
    pub first: u32,
    /// Inputs, [`ObsSweep::MOST`] at most.
    pub count: u32,
    /// Word of the factor at which its triangle begins: `[count, count]`, what is below the
    /// diagonal unread. 0 on the diagonal says that the input was never seen.
    pub diagonal: u32,
}

impl InputBlock {
    /// One past its last input.
    pub(super) fn end(self) -> u64 {
        u64::from(self.first) + u64::from(self.count)
    }

    /// One past the last word of its triangle.
    pub(super) fn triangle_end(self) -> u64 {
        u64::from(self.diagonal) + u64::from(self.count).pow(2)
    }

    pub(super) fn check(self) -> Result<(), String> {
        match self.count {
            1..=ObsSweep::MOST => Ok(()),
            n => Err(format!("a block of {n} inputs, it takes 1 to {}", ObsSweep::MOST)),
        }
    }
}

/// Which weights of a block go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goes {
    /// Those whose bit is clear here; bit `j * units + r` for input `j` of the block and unit `r`.
    Clear(Slot),
    /// All but `n` of every `m` inputs of a unit, `n` of a shorter last group, too. Chosen as the
    /// sweep comes to them: those of lowest |weight| / `U[j, j]` by then, the last of equal ones.
    Groups {
        /// How many stay.
        n: u32,
        /// Inputs of a group, 2 to 32.
        m: u32,
    },
}

/// For the inputs `j` of a block, in order: with `e = w[j] / U[j, j]` of each weight that goes,
/// `w[k] -= e U[j, k]` for the inputs `k` behind it in the block, and `w[j] = 0` (Frantar and
/// Alistarh 2023, "SparseGPT").
#[derive(Debug, Clone, Copy)]
pub struct ObsSweep {
    /// See [`InputBlock`].
    pub factor: Slot,
    /// Which go.
    pub goes: Goes,
    /// `[inputs, units]`, whatever the layout of `of`; updated in place.
    pub weights: Slot,
    /// `[count, units]`: `-e`, 0 where the weight stays.
    pub errors: Slot,
    /// One bit a weight, as they lie in the layout of `of`; those of the block are written.
    pub mask: Slot,
    /// [`crate::kernels::MaskState`]: adds what it keeps, changes and finds to be NaN.
    pub mask_state: Slot,
    /// The whole matrix.
    pub of: Units,
    /// Which inputs.
    pub block: InputBlock,
}

impl ObsSweep {
    /// Most inputs of a block.
    pub const MOST: u32 = 128;
    /// Inputs that are updated together, or whole groups of at least so many.
    const PANEL: u32 = 8;

    /// Inputs of a block: as many whole groups as [`MOST`](Self::MOST) takes.
    pub fn width(m: Option<u32>) -> u32 {
        // What is no size of a group is refused by the launch.
        let m = m.unwrap_or(1).clamp(1, Self::MOST);
        Self::MOST / m * m
    }
}

crate::uniform! {
    /// Uniform of [`ObsSweep`].
    pub struct ObsSweepParams {
        /// Inputs of the matrix.
        inputs: u32,
        /// Units.
        units: u32,
        /// First input of the block.
        first: u32,
        /// Inputs of the block.
        count: u32,
        /// Where its triangle begins in the factor.
        diagonal: u32,
        /// Inputs that are updated together.
        panel: u32,
        /// Inputs of a group that stay.
        n: u32,
        /// Inputs of a group.
        m: u32,
    }
}

impl Kernel for ObsSweep {
    const NAME: &'static str = "obs_sweep";
    const WGSL: &'static str = crate::wgsl!(
        "common/bits.wgsl",
        "common/score.wgsl",
        "common/nan.wgsl",
        "common/mask_state.wgsl",
        "common/units.wgsl",
        "obs_sweep.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[
        read("factor"),
        read("selected"),
        write("weights"),
        write("errors"),
        write("mask"),
        write("mask_state"),
    ];
    type Params = ObsSweepParams;

    fn bind(&self) -> Vec<Bound> {
        let (len, block) = (self.of.len(), self.block);
        let of_block = u64::from(block.count) * u64::from(self.of.units);
        vec![
            self.factor.needs(block.triangle_end()),
            match self.goes {
                Goes::Clear(selected) => selected.needs(of_block.div_ceil(32)),
                Goes::Groups { .. } => Bound::NONE,
            },
            self.weights.needs(len),
            self.errors.needs(of_block),
            self.mask.needs(len.div_ceil(32)),
            self.mask_state.needs(MASK_STATE_WORDS.into()),
        ]
    }

    fn params(&self) -> ObsSweepParams {
        let Units { inputs, units, .. } = self.of;
        let InputBlock { first, count, diagonal } = self.block;
        let (n, m) = match self.goes {
            Goes::Clear(_) => (0, 1),
            Goes::Groups { n, m } => (n, m),
        };
        let panel = Self::PANEL.next_multiple_of(m);
        ObsSweepParams { inputs, units, first, count, diagonal, panel, n, m }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let mut constants = self.of.constants();
        if let Goes::Groups { .. } = self.goes {
            constants.push(("GROUPED", 1.0));
        }
        constants
    }

    fn grid(&self) -> [u32; 3] {
        [self.of.units.div_ceil(32), 1, 1]
    }

    fn check(&self) -> Result<(), String> {
        self.of.check()?;
        self.block.check()?;
        let (inputs, end) = (self.of.inputs, self.block.end());
        if end > inputs.into() {
            return Err(format!("a block up to input {end} of {inputs}"));
        }
        let Goes::Groups { n, m } = self.goes else { return Ok(()) };
        if !(2..=NmMask::MAX_M).contains(&m) || n == 0 || n >= m {
            let most = NmMask::MAX_M;
            return Err(format!("{n} of {m} stay: it takes 1 to M - 1 of 2 to {most}"));
        }
        if !self.block.first.is_multiple_of(m) {
            let first = self.block.first;
            return Err(format!("a block from input {first} on begins within a group of {m}"));
        }
        Ok(())
    }
}

/// Host reference, of a block or of a whole matrix: changes `weights [inputs, units]` by `factor
/// [inputs, inputs]`. Before each input `goes` says of every unit whether its weight goes, given
/// the input and all weights by then.
pub fn obs_sweep_reference(
    weights: &mut [f64],
    factor: &[f64],
    inputs: usize,
    mut goes: impl FnMut(usize, &[f64]) -> Vec<bool>,
) {
    let units = weights.len() / inputs;
    for j in 0..inputs {
        if factor[j * inputs + j] == 0.0 {
            weights[j * units..][..units].fill(0.0);
        }
    }
    for j in 0..inputs {
        let root = factor[j * inputs + j];
        let goes = goes(j, weights);
        for unit in (0..units).filter(|&unit| goes[unit]) {
            let error = if root > 0.0 { weights[j * units + unit] / root } else { 0.0 };
            weights[j * units + unit] = 0.0;
            for k in j + 1..inputs {
                weights[k * units + unit] -= error * factor[j * inputs + k];
            }
        }
    }
}
