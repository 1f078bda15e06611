//! `change`: a running mean of how the weights change, as upstream's gradient options keep it.
use super::change_norm::{check_history, history_words};
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `g = decay g + (1 - decay) d / max(||d||, 1e-6)`, once a step; then the history moves on. Here
/// `d` is `|w - old|`, or of second order `|w + older - 2 old|`, and `||d||` its length over the
/// tensor: the gradient options of google-research's `model_pruning`, which call `g` the gradient
/// and prune by `|w| g`. [`Saliency`](crate::kernels::Saliency) makes that score.
///
/// As with TensorFlow's `l2_normalize`, a `||d||^2` that is more than an f32 holds makes the
/// quotient 0. One NaN in the weights makes all of `g` NaN.
#[derive(Debug, Clone, Copy)]
pub struct Change {
    /// `[len]`
    pub weights: Slot,
    /// One word, `||d||^2`: the sum of what [`ChangeNorm`](crate::kernels::ChangeNorm) wrote in
    /// this step.
    pub total: Slot,
    /// `[len]`, persistent: the weights of the step before. Of second order `[2, len]`: those, then
    /// the weights of the step before that. What it holds at first is the first step's history.
    pub history: Slot,
    /// `[len]`, persistent, 0 at first, never negative; updated in place.
    pub gradient: Slot,
    /// Weights.
    pub len: u32,
    /// Whether the change is of second order.
    pub second: bool,
    /// As in [`ChangeNorm`](crate::kernels::ChangeNorm).
    pub held: bool,
    /// Share of `gradient` that stays, 0 to 1.
    pub decay: f32,
}

crate::uniform! {
    /// Uniform of [`Change`].
    pub struct ChangeParams {
        /// Weights.
        len: u32,
        /// Share that stays.
        decay: f32,
    }
}

impl Kernel for Change {
    const NAME: &'static str = "change";
    const WGSL: &'static str =
        crate::wgsl!("common/grid.wgsl", "common/change.wgsl", "change.wgsl");
    const OPERANDS: &'static [Operand] =
        &[read("weights"), read("total"), write("history"), write("gradient")];
    type Params = ChangeParams;

    fn bind(&self) -> Vec<Bound> {
        let len = self.len.into();
        vec![
            self.weights.needs(len),
            self.total.needs(1),
            self.history.needs(history_words(self.len, self.second)),
            self.gradient.needs(len),
        ]
    }

    fn params(&self) -> ChangeParams {
        ChangeParams { len: self.len, decay: self.decay }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        vec![("SECOND", self.second.into()), ("HELD", self.held.into())]
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }

    fn check(&self) -> Result<(), String> {
        check_history(self.len, self.second)
    }
}

/// Host reference: the new gradient, from each weight's `d` and the sum of their squares.
pub fn change_reference(d: &[f64], total: f64, gradient: &[f32], decay: f32) -> Vec<f64> {
    // A NaN total is not replaced, as it would be by `f64::max`.
    let length = if total < 1e-12 { 1e-6 } else { total.sqrt() };
    let decay = f64::from(decay);
    let one = |(d, &g): (&f64, &f32)| decay * f64::from(g) + (1.0 - decay) * d / length;
    d.iter().zip(gradient).map(one).collect()
}
