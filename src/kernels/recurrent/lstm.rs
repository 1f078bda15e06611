//! `lstm` and its gradient: one step over the rows of a batch, after the product of inputs and
//! kernel.
use super::shared::{Stride, check, flags};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Extents and constants of an LSTM's steps. Its tensors have the times outermost: gates `[length,
/// rows, 4, units]` in upstream's order i, j, f, o; cells `[length + 1, rows, units]`, those before
/// the first step in front.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LstmStep {
    /// Rows of a batch.
    pub rows: u32,
    /// Units.
    pub units: u32,
    /// Which step, from 0.
    pub time: u32,
    /// Added to the forget gate's sum; 1 upstream.
    pub forget_bias: f32,
    /// Highest magnitude of a cell.
    pub clip: Option<f32>,
}

impl LstmStep {
    /// Elements of one time.
    fn len(&self) -> u32 {
        self.rows.saturating_mul(self.units)
    }

    /// Words up to and with the gates of this time.
    pub(super) fn gates(&self) -> u64 {
        4 * (u64::from(self.time) + 1) * u64::from(self.len())
    }

    /// Words up to and with the cells after this time.
    pub(super) fn cells(&self) -> u64 {
        (u64::from(self.time) + 2) * u64::from(self.len())
    }

    pub(super) fn check(&self) -> Result<(), String> {
        check(self.rows, self.units, self.gates())
    }
}

/// One step of an LSTM (Hochreiter and Schmidhuber 1997; peepholes of Gers et al. 2002), as
/// upstream's `BasicLSTMCell` and `LSTMCell` take it.
#[derive(Debug, Clone, Copy)]
pub struct Lstm {
    /// Extents and constants.
    pub step: LstmStep,
    /// `[3, units]`: of i and f, which see the cell before, and of o, which sees the one after.
    pub peepholes: Option<Slot>,
    /// The sums of the gates, then what became of them.
    pub gates: Slot,
    /// Read at this time, written at the next.
    pub cells: Slot,
    /// The outputs h.
    pub out: Slot,
    /// Where they go.
    pub to: Stride,
}

crate::uniform! {
    /// Uniform of [`Lstm`].
    pub struct LstmParams {
        /// Rows of a batch.
        rows: u32,
        /// Units.
        units: u32,
        /// Which step.
        time: u32,
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

impl Kernel for Lstm {
    const NAME: &'static str = "lstm";
    const WGSL: &'static str = crate::wgsl!(
        "common/grid.wgsl",
        "common/activation.wgsl",
        "common/lstm_cell.wgsl",
        "lstm.wgsl"
    );
    const OPERANDS: &'static [Operand] =
        &[read("peepholes"), write("gates"), write("cells"), write("out")];
    type Params = LstmParams;

    fn bind(&self) -> Vec<Bound> {
        let LstmStep { rows, units, .. } = self.step;
        vec![
            self.peepholes.map_or(Bound::NONE, |s| s.needs(3 * u64::from(units))),
            self.gates.needs(self.step.gates()),
            self.cells.needs(self.step.cells()),
            self.out.needs(self.to.end(rows, units)),
        ]
    }

    fn params(&self) -> LstmParams {
        let LstmStep { rows, units, time, forget_bias, clip } = self.step;
        LstmParams {
            rows,
            units,
            time,
            out_begin: self.to.begin,
            out_stride: self.to.stride,
            forget_bias,
            clip: clip.unwrap_or(0.0),
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        flags([("PEEPHOLES", self.peepholes.is_some()), ("CLIPS", self.step.clip.is_some())])
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.step.len())
    }

    fn check(&self) -> Result<(), String> {
        self.step.check()
    }
}

/// Gradient of one step by the sums of its gates; steps go backwards.
#[derive(Debug, Clone, Copy)]
pub struct LstmGradient {
    /// Extents and constants.
    pub step: LstmStep,
    /// Gradient of the outputs h.
    pub gradient: Slot,
    /// Where it is.
    pub from: Stride,
    /// What the step after sends back to h, and where it is; `None` in the last step.
    pub recurrent: Option<(Slot, Stride)>,
    /// As [`Lstm`] left them.
    pub gates: Slot,
    /// As [`Lstm`] left them.
    pub cells: Slot,
    /// `[3, units]`
    pub peepholes: Option<Slot>,
    /// `[rows, units]`: gradient of the cells, from each step to the one before.
    pub carry: Slot,
    /// Whether this is the last step: nothing is in `carry`.
    pub last: bool,
    /// Gradient of the gates' sums.
    pub out: Slot,
}

crate::uniform! {
    /// Uniform of [`LstmGradient`].
    pub struct LstmGradientParams {
        /// Rows of a batch.
        rows: u32,
        /// Units.
        units: u32,
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
        /// Highest magnitude of a cell.
        clip: f32,
    }
}

impl Kernel for LstmGradient {
    const NAME: &'static str = "lstm_gradient";
    const WGSL: &'static str = crate::wgsl!(
        "common/grid.wgsl",
        "common/activation.wgsl",
        "common/lstm_cell_gradient.wgsl",
        "lstm_gradient.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[
        read("gradient"),
        read("recurrent"),
        read("gates"),
        read("cells"),
        read("peepholes"),
        write("carry"),
        write("out"),
    ];
    type Params = LstmGradientParams;

    fn bind(&self) -> Vec<Bound> {
        let LstmStep { rows, units, .. } = self.step;
        vec![
            self.gradient.needs(self.from.end(rows, units)),
            self.recurrent.map_or(Bound::NONE, |(slot, at)| slot.needs(at.end(rows, units))),
            self.gates.needs(self.step.gates()),
            self.cells.needs(self.step.cells()),
            self.peepholes.map_or(Bound::NONE, |s| s.needs(3 * u64::from(units))),
            self.carry.needs(self.step.len().into()),
            self.out.needs(self.step.gates()),
        ]
    }

    fn params(&self) -> LstmGradientParams {
        let LstmStep { rows, units, time, clip, .. } = self.step;
        let recurrent = self.recurrent.map_or(Stride { begin: 0, stride: 0 }, |(_, at)| at);
        LstmGradientParams {
            rows,
            units,
            time,
            gradient_begin: self.from.begin,
            gradient_stride: self.from.stride,
            recurrent_begin: recurrent.begin,
            recurrent_stride: recurrent.stride,
            clip: clip.unwrap_or(0.0),
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        flags([
            ("PEEPHOLES", self.peepholes.is_some()),
            ("CLIPS", self.step.clip.is_some()),
            ("RECURRENT", self.recurrent.is_some()),
            ("LAST", self.last),
        ])
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.step.len())
    }

    fn check(&self) -> Result<(), String> {
        self.step.check()
    }
}

/// Host reference of one unit of one row: its sums i, j, f, o, the cell before it and its three
/// peepholes. Returns the gates, the cell before it is clipped, the cell, and the output.
pub fn lstm_reference(
    sums: [f64; 4],
    before: f64,
    peepholes: [f64; 3],
    forget_bias: f32,
    clip: Option<f32>,
) -> ([f64; 4], [f64; 3]) {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let i = sigmoid(sums[0] + peepholes[0] * before);
    let j = sums[1].tanh();
    let f = sigmoid(sums[2] + f64::from(forget_bias) + peepholes[1] * before);
    let raw = f * before + i * j;
    let limit = clip.map_or(f64::INFINITY, f64::from);
    let cell = raw.clamp(-limit, limit);
    let o = sigmoid(sums[3] + peepholes[2] * cell);
    ([i, j, f, o], [raw, cell, o * cell.tanh()])
}

/// Host reference of its gradient: by the sums, by the cell before, and by the peepholes, from the
/// gradients of output and cell.
pub fn lstm_gradient_reference(
    [of_h, of_cell]: [f64; 2],
    [i, j, f, o]: [f64; 4],
    [before, raw, cell]: [f64; 3],
    peepholes: [f64; 3],
    clip: Option<f32>,
) -> ([f64; 4], f64, [f64; 3]) {
    let squashed = cell.tanh();
    let of_o = of_h * squashed * o * (1.0 - o);
    let mut of_c = of_cell + of_h * o * (1.0 - squashed * squashed) + of_o * peepholes[2];
    if clip.is_some_and(|clip| raw.abs() > f64::from(clip)) {
        of_c = 0.0;
    }
    let of_i = of_c * j * i * (1.0 - i);
    let of_f = of_c * before * f * (1.0 - f);
    let sums = [of_i, of_c * i * (1.0 - j * j), of_f, of_o];
    let back = of_c * f + of_i * peepholes[0] + of_f * peepholes[1];
    (sums, back, [of_i * before, of_f * before, of_o * cell])
}
