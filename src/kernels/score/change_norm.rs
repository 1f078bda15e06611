//! `change_norm`: the squared length of the weights' last change, in partial sums.
use crate::kernels::elementwise::column_sum::CHUNK;
use crate::gpu::{Bound, Kernel, Operand, Slot, read, write};

/// `partials[g]` is the sum of `d^2` over chunk `g` of the weights. A
/// [`ColumnSum`](crate::kernels::ColumnSum) with one column adds them up for
/// [`Change`](crate::kernels::Change), which says what `d` is.
#[derive(Debug, Clone, Copy)]
pub struct ChangeNorm {
    /// `[len]`
    pub weights: Slot,
    /// `[len]`, or `[2, len]` of second order; see [`Change`](crate::kernels::Change).
    pub history: Slot,
    /// [`chunks`](Self::chunks) sums.
    pub partials: Slot,
    /// Weights.
    pub len: u32,
    /// Whether the change is of second order.
    pub second: bool,
    /// Whether a weight at 0 is one that is held there: its `d` is 0, whatever it was before.
    pub held: bool,
}

crate::uniform! {
    /// Uniform of [`ChangeNorm`].
    pub struct ChangeNormParams {
        /// Weights.
        len: u32,
    }
}

impl ChangeNorm {
    /// Partial sums over `len` weights.
    pub fn chunks(len: u32) -> u32 {
        len.div_ceil(CHUNK)
    }
}

/// Words of the history of `len` weights.
pub(super) fn history_words(len: u32, second: bool) -> u64 {
    u64::from(len) * if second { 2 } else { 1 }
}

/// The history's second row is indexed from `len` on.
pub(super) fn check_history(len: u32, second: bool) -> Result<(), String> {
    let most = u32::MAX / 2;
    if second && len > most {
        return Err(format!("{len} weights in a change of second order, at most {most}"));
    }
    Ok(())
}

impl Kernel for ChangeNorm {
    const NAME: &'static str = "change_norm";
    const WGSL: &'static str = crate::wgsl!("common/change.wgsl", "change_norm.wgsl");
    const OPERANDS: &'static [Operand] = &[read("weights"), read("history"), write("partials")];
    type Params = ChangeNormParams;

    fn bind(&self) -> Vec<Bound> {
        vec![
            self.weights.needs(self.len.into()),
            self.history.needs(history_words(self.len, self.second)),
            self.partials.needs(Self::chunks(self.len).into()),
        ]
    }

    fn params(&self) -> ChangeNormParams {
        ChangeNormParams { len: self.len }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("SECOND", self.second.into()), ("HELD", self.held.into())]
    }

    fn grid(&self) -> [u32; 3] {
        [Self::chunks(self.len), 1, 1]
    }

    fn check(&self) -> Result<(), String> {
        check_history(self.len, self.second)
    }
}

/// Host reference: `d` of each weight. `history` has one row, or two where `d` is of second order.
pub fn change_norm_reference(weights: &[f32], history: &[f32], held: bool) -> Vec<f64> {
    let len = weights.len();
    let at = |row: usize, i: usize| history.get(row * len + i).map(|&x| f64::from(x));
    let one = |(i, &w): (usize, &f32)| match (f64::from(w), at(0, i).unwrap(), at(1, i)) {
        (0.0, ..) if held => 0.0,
        (w, old, Some(older)) => (w + older - 2.0 * old).abs(),
        (w, old, None) => (w - old).abs(),
    };
    weights.iter().enumerate().map(one).collect()
}
