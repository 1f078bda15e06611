//! `lstm_product` and `lstm_gradient_product`: a step of an LSTM with the product before it, in one
//! launch.
use super::lstm::LstmStep;
use super::shared::{Stride, flags, small};
use crate::gpu::{Bound, Kernel, Operand, Slot, Target, read, write};

/// The rows of an LSTM's kernel that states are multiplied with: `[width + outputs, 4, units]`, its
/// mask, and the width of the inputs before them.
#[derive(Debug, Clone, Copy)]
pub struct StateWeights {
    /// The whole kernel.
    pub values: Slot,
    /// Bit `i` for element `i`.
    pub mask: Option<Slot>,
    /// Rows before those of states.
    pub width: u32,
}

impl StateWeights {
    /// Both operands, of so many rows of states with so many weights each.
    pub(super) fn bind(&self, rows: u32, each: u32) -> [Bound; 2] {
        let words = (u64::from(self.width) + u64::from(rows)) * u64::from(each);
        let mask = self.mask.map_or(Bound::NONE, |slot| slot.needs(words.div_ceil(32)));
        [self.values.needs(words), mask]
    }
}

/// [`Lstm`](super::Lstm) after what the states before add to the gates' sums, which `gates` hold of
/// inputs and bias.
#[derive(Debug, Clone, Copy)]
pub struct LstmProduct {
    /// Extents and constants.
    pub step: LstmStep,
    /// The kernel.
    pub weights: StateWeights,
    /// `[3, units]`
    pub peepholes: Option<Slot>,
    /// The states before, where they are a projection's; else they are in `out`.
    pub projected: Option<Slot>,
    /// Where they are.
    pub from: Stride,
    /// Elements of a state.
    pub outputs: u32,
    /// The sums of inputs and bias, then what became of all sums.
    pub gates: Slot,
    /// Read at this time, written at the next.
    pub cells: Slot,
    /// The outputs h.
    pub out: Slot,
    /// Where they go.
    pub to: Stride,
}

crate::uniform! {
    /// Uniform of [`LstmProduct`].
    pub struct LstmProductParams {
        /// Rows of a batch.
        rows: u32,
        /// Units.
        units: u32,
        /// Elements of a state.
        terms: u32,
        /// Row of the kernel for the first of them.
        first_row: u32,
        /// Which step.
        time: u32,
        /// Place of the first state.
        in_begin: u32,
        /// From one row's states to the next.
        in_stride: u32,
        /// Place of the first output.
        out_begin: u32,
        /// From one row's outputs to the next.
        out_stride: u32,
        /// Added to the forget gate's sum.
        forget_bias: f32,
        /// Highest magnitude of a cell.
        clip: f32,
    }
}

impl LstmProduct {
    /// Whether a step of so many rows and units takes one launch on `target`: on a GPU, where the
    /// launches of small steps are most of their time. A product of many rows and units fills it,
    /// and reads less in larger tiles.
    pub fn pays(target: Target, rows: u32, units: u32) -> bool {
        small(target, rows, units)
    }
}

impl Kernel for LstmProduct {
    const NAME: &'static str = "lstm_product";
    const WGSL: &'static str = crate::wgsl!(
        "common/bits.wgsl",
        "common/activation.wgsl",
        "common/lstm_cell.wgsl",
        "common/recurrent_product.wgsl",
        "lstm_product.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[
        read("weights"),
        read("mask"),
        read("peepholes"),
        read("projected"),
        write("gates"),
        write("cells"),
        write("out"),
    ];
    type Params = LstmProductParams;

    fn bind(&self) -> Vec<Bound> {
        let LstmStep { rows, units, .. } = self.step;
        let [weights, mask] = self.weights.bind(self.outputs, units.saturating_mul(4));
        let read = self.from.end(rows, self.outputs);
        let written = self.to.end(rows, units);
        // Where the states are in `out`, it is read as well.
        let out = if self.projected.is_some() { written } else { written.max(read) };
        vec![
            weights,
            mask,
            self.peepholes.map_or(Bound::NONE, |slot| slot.needs(3 * u64::from(units))),
            self.projected.map_or(Bound::NONE, |slot| slot.needs(read)),
            self.gates.needs(self.step.gates()),
            self.cells.needs(self.step.cells()),
            self.out.needs(out),
        ]
    }

    fn params(&self) -> LstmProductParams {
        let LstmStep { rows, units, time, forget_bias, clip } = self.step;
        LstmProductParams {
            rows,
            units,
            terms: self.outputs,
            first_row: self.weights.width,
            time,
            in_begin: self.from.begin,
            in_stride: self.from.stride,
            out_begin: self.to.begin,
            out_stride: self.to.stride,
            forget_bias,
            clip: clip.unwrap_or(0.0),
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        flags([
            ("MASKED", self.weights.mask.is_some()),
            ("PROJECTED", self.projected.is_some()),
            ("PEEPHOLES", self.peepholes.is_some()),
            ("CLIPS", self.step.clip.is_some()),
        ])
    }

    fn grid(&self) -> [u32; 3] {
        super::shared::grid(self.step.rows, self.step.units)
    }

    fn check(&self) -> Result<(), String> {
        self.step.check()?;
        match self.outputs {
            0 => Err("states of 0 elements".into()),
            _ => Ok(()),
        }
    }
}

/// [`LstmGradient`](super::LstmGradient) after what the step after sends back to h; so it is of no
/// last step, and of no LSTM with a projection.
#[derive(Debug, Clone, Copy)]
pub struct LstmGradientProduct {
    /// Extents and constants.
    pub step: LstmStep,
    /// The kernel.
    pub weights: StateWeights,
    /// Gradient of the outputs h.
    pub gradient: Slot,
    /// Where it is.
    pub from: Stride,
    /// As [`Lstm`](super::Lstm) left them.
    pub gates: Slot,
    /// As [`Lstm`](super::Lstm) left them.
    pub cells: Slot,
    /// `[3, units]`
    pub peepholes: Option<Slot>,
    /// `[rows, units]`: gradient of the cells, from each step to the one before.
    pub carry: Slot,
    /// Gradient of the gates' sums: read of the step after, written of this one.
    pub out: Slot,
}

crate::uniform! {
    /// Uniform of [`LstmGradientProduct`].
    pub struct LstmGradientProductParams {
        /// Rows of a batch.
        rows: u32,
        /// Units.
        units: u32,
        /// Gates of all units.
        terms: u32,
        /// Row of the kernel for the first element of a state.
        first_row: u32,
        /// Which step.
        time: u32,
        /// Place of the first row's gradient.
        gradient_begin: u32,
        /// From one row's gradient to the next.
        gradient_stride: u32,
        /// Highest magnitude of a cell.
        clip: f32,
    }
}

impl Kernel for LstmGradientProduct {
    const NAME: &'static str = "lstm_gradient_product";
    const WGSL: &'static str = crate::wgsl!(
        "common/bits.wgsl",
        "common/activation.wgsl",
        "common/lstm_cell_gradient.wgsl",
        "common/recurrent_product.wgsl",
        "lstm_gradient_product.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[
        read("weights"),
        read("mask"),
        read("gradient"),
        read("gates"),
        read("cells"),
        read("peepholes"),
        write("carry"),
        write("out"),
    ];
    type Params = LstmGradientProductParams;

    fn bind(&self) -> Vec<Bound> {
        let LstmStep { rows, units, time, .. } = self.step;
        let [weights, mask] = self.weights.bind(units, units.saturating_mul(4));
        let after = LstmStep { time: time.saturating_add(1), ..self.step };
        vec![
            weights,
            mask,
            self.gradient.needs(self.from.end(rows, units)),
            self.gates.needs(self.step.gates()),
            self.cells.needs(self.step.cells()),
            self.peepholes.map_or(Bound::NONE, |slot| slot.needs(3 * u64::from(units))),
            self.carry.needs(u64::from(rows) * u64::from(units)),
            self.out.needs(after.gates()),
        ]
    }

    fn params(&self) -> LstmGradientProductParams {
        let LstmStep { rows, units, time, clip, .. } = self.step;
        LstmGradientProductParams {
            rows,
            units,
            terms: units.saturating_mul(4),
            first_row: self.weights.width,
            time,
            gradient_begin: self.from.begin,
            gradient_stride: self.from.stride,
            clip: clip.unwrap_or(0.0),
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        flags([
            ("MASKED", self.weights.mask.is_some()),
            ("PEEPHOLES", self.peepholes.is_some()),
            ("CLIPS", self.step.clip.is_some()),
        ])
    }

    fn grid(&self) -> [u32; 3] {
        super::shared::grid(self.step.rows, self.step.units)
    }

    fn check(&self) -> Result<(), String> {
        LstmStep { time: self.step.time.saturating_add(1), ..self.step }.check()
    }
}
