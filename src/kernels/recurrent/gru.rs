//! `gru`, `gru_reset` and their gradients: the two halves of a step over the rows of a batch, each
//! after its product.
use super::shared::{check, flags};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// Extents of a GRU's steps. Its tensors have the times outermost: gates `[length, rows, 2,
/// units]`, r and z; candidates `[length, rows, units]`; `inputs [length + 1, rows, width +
/// units]`, x and behind it the state that a step begins with; resets `[length, rows, width +
/// units]`, the same with r h for h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GruStep {
    /// Rows of a batch.
    pub rows: u32,
    /// Units.
    pub units: u32,
    /// Features of x.
    pub width: u32,
    /// Times.
    pub length: u32,
    /// Which step, from 0.
    pub time: u32,
}

crate::uniform! {
    /// Uniform of the kernels of a GRU.
    pub struct GruParams {
        /// Rows of a batch.
        rows: u32,
        /// Units.
        units: u32,
        /// Times.
        length: u32,
        /// Which step.
        time: u32,
        /// Elements of a row of inputs.
        stride: u32,
    }
}

impl GruStep {
    fn one(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.units)
    }

    /// Words of an operand up to and with this time, by its kind.
    pub(super) fn words(&self, kind: &str) -> u64 {
        let times = u64::from(self.time) + 1;
        let stride = u64::from(self.rows) * (u64::from(self.width) + u64::from(self.units));
        match kind {
            "gates" => 2 * times * self.one(),
            "gates_after" => 2 * (times + 1) * self.one(),
            "candidates" => times * self.one(),
            "inputs" => times * stride,
            "next" => (times + 1) * stride,
            "sequence" => u64::from(self.length) * self.one(),
            _ => self.one(),
        }
    }

    pub(super) fn params(&self) -> GruParams {
        let &Self { rows, units, width, length, time } = self;
        GruParams { rows, units, length, time, stride: width.saturating_add(units) }
    }
}

macro_rules! gru_kernel {
    ($(#[$meta:meta])* $name:ident, $label:literal, $cell:literal, $file:literal:
        $($read:ident[$needs:ident])+ -> $($write:ident[$makes:ident])+) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name {
            /// Extents.
            pub step: GruStep,
            $(#[doc = concat!("Operand `", stringify!($read), "`.")] pub $read: Slot,)+
            $(#[doc = concat!("Result `", stringify!($write), "`.")] pub $write: Slot,)+
        }

        impl Kernel for $name {
            const NAME: &'static str = $label;
            const WGSL: &'static str = crate::wgsl!(
                "common/grid.wgsl",
                "common/activation.wgsl",
                "common/gru.wgsl",
                $cell,
                $file
            );
            const OPERANDS: &'static [Operand] =
                &[$(read(stringify!($read)),)+ $(write(stringify!($write))),+];
            type Params = GruParams;

            fn bind(&self) -> Vec<Bound> {
                vec![
                    $(self.$read.needs(self.step.words(stringify!($needs))),)+
                    $(self.$write.needs(self.step.words(stringify!($makes)))),+
                ]
            }

            fn params(&self) -> GruParams {
                self.step.params()
            }

            fn grid(&self) -> [u32; 3] {
                grid_1d(self.step.rows.saturating_mul(self.step.units))
            }

            fn check(&self) -> Result<(), String> {
                check(self.step.rows, self.step.units, self.step.words("next"))
            }
        }
    };
}

gru_kernel! {
    /// First half of a step of a GRU (Cho et al. 2014), as upstream's `GRUCell` takes it: r and z,
    /// and r h for the candidate.
    GruReset, "gru_reset", "common/gru_reset_cell.wgsl", "gru_reset.wgsl":
        inputs[inputs] -> gates[gates] resets[inputs]
}

gru_kernel! {
    /// Second half: the candidate, and the state after the step.
    Gru, "gru", "common/gru_cell.wgsl", "gru.wgsl":
        gates[gates] -> candidates[candidates] inputs[next]
}

gru_kernel! {
    /// Gradient of the first half by the sum of r.
    GruResetGradient, "gru_reset_gradient", "common/gru_reset_cell_gradient.wgsl",
    "gru_reset_gradient.wgsl":
        recurrent[one] gates[gates] inputs[inputs] -> carry[one] of_gates[gates]
}

/// Gradient of the second half by the sums of candidate and z; steps go backwards.
#[derive(Debug, Clone, Copy)]
pub struct GruGradient {
    /// Extents.
    pub step: GruStep,
    /// `[rows, length, units]`: gradient of the outputs.
    pub gradient: Slot,
    /// `[rows, units]`: what the step after sends back to h; `None` in the last step.
    pub recurrent: Option<Slot>,
    /// As [`GruReset`] left them.
    pub gates: Slot,
    /// As [`Gru`] left them.
    pub candidates: Slot,
    /// As [`Gru`] left them.
    pub inputs: Slot,
    /// `[rows, units]`: what goes straight to h. In the last step nothing is in it.
    pub carry: Slot,
    /// Gradient of the gates' sums.
    pub of_gates: Slot,
    /// Gradient of the candidates' sums.
    pub of_candidates: Slot,
}

impl Kernel for GruGradient {
    const NAME: &'static str = "gru_gradient";
    const WGSL: &'static str = crate::wgsl!(
        "common/grid.wgsl",
        "common/activation.wgsl",
        "common/gru.wgsl",
        "common/gru_cell_gradient.wgsl",
        "gru_gradient.wgsl"
    );
    const OPERANDS: &'static [Operand] = &[
        read("gradient"),
        read("recurrent"),
        read("gates"),
        read("candidates"),
        read("inputs"),
        write("carry"),
        write("of_gates"),
        write("of_candidates"),
    ];
    type Params = GruParams;

    fn bind(&self) -> Vec<Bound> {
        let words = |kind| self.step.words(kind);
        vec![
            self.gradient.needs(words("sequence")),
            self.recurrent.map_or(Bound::NONE, |s| s.needs(words("one"))),
            self.gates.needs(words("gates")),
            self.candidates.needs(words("candidates")),
            self.inputs.needs(words("inputs")),
            self.carry.needs(words("one")),
            self.of_gates.needs(words("gates")),
            self.of_candidates.needs(words("candidates")),
        ]
    }

    fn params(&self) -> GruParams {
        self.step.params()
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let last = self.recurrent.is_none();
        flags([("RECURRENT", !last), ("LAST", last)])
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.step.rows.saturating_mul(self.step.units))
    }

    fn check(&self) -> Result<(), String> {
        check(self.step.rows, self.step.units, self.step.words("next"))
    }
}

/// Host reference of one unit of one row: sums of r and z to the gates, and from the sum of the
/// candidate to it and the state after the step.
pub fn gru_reference([r, z]: [f64; 2], candidate: f64, before: f64) -> ([f64; 3], f64) {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (r, z, c) = (sigmoid(r), sigmoid(z), candidate.tanh());
    ([r, z, c], z * before + (1.0 - z) * c)
}

/// Host reference of its gradient from that of the state after the step: by the sums of candidate
/// and z, and straight by the state before. That by the sum of r is `of_product * before * r (1 -
/// r)`, where `of_product` is the gradient by r h.
pub fn gru_gradient_reference(of_h: f64, [z, candidate]: [f64; 2], before: f64) -> ([f64; 2], f64) {
    let of_candidate = of_h * (1.0 - z) * (1.0 - candidate * candidate);
    ([of_candidate, of_h * (before - candidate) * z * (1.0 - z)], of_h * z)
}
