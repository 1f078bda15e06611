//! `movement`: how far training has moved each weight away from zero.
use crate::gpu::{Bound, Kernel, Operand, Slot, grid_1d, read, write};

/// `movement -= w g`, once a step (Sanh, Wolf and Rush 2020, "Movement Pruning: Adaptive Sparsity
/// by Fine-Tuning"). A weight that descends away from zero scores high, one that shrinks low. The
/// learning rate is left out: where it is constant it changes no order.
///
/// Movement is signed and the lowest is pruned first, so it is never ranked itself:
/// [`MovementScore`](crate::kernels::MovementScore) makes the score.
#[derive(Debug, Clone, Copy)]
pub struct Movement {
    /// `[len]`; a weight that is held at zero moves no further.
    pub weights: Slot,
    /// `[len]`, of the loss, and not masked.
    pub gradient: Slot,
    /// `[len]`, persistent, 0 at first; updated in place.
    pub movement: Slot,
    /// Weights.
    pub len: u32,
}

crate::uniform! {
    /// Uniform of [`Movement`].
    pub struct MovementParams {
        /// Weights.
        len: u32,
    }
}

impl Kernel for Movement {
    const NAME: &'static str = "movement";
    const WGSL: &'static str = crate::wgsl!("common/grid.wgsl", "movement.wgsl");
    const OPERANDS: &'static [Operand] = &[read("weights"), read("gradient"), write("movement")];
    type Params = MovementParams;

    fn bind(&self) -> Vec<Bound> {
        [self.weights, self.gradient, self.movement].map(|s| s.needs(self.len.into())).into()
    }

    fn params(&self) -> MovementParams {
        MovementParams { len: self.len }
    }

    fn grid(&self) -> [u32; 3] {
        grid_1d(self.len)
    }
}

/// Host reference: the new movement.
pub fn movement_reference(weights: &[f32], gradient: &[f32], movement: &[f32]) -> Vec<f64> {
    let one = |((&w, &g), &m): ((&f32, &f32), &f32)| f64::from(m) - f64::from(w) * f64::from(g);
    weights.iter().zip(gradient).zip(movement).map(one).collect()
}
