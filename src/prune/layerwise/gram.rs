//! Second moments of inputs.
use crate::Result;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{Form, Matmul};

/// `gram += X^T X`, of rows that come a window at a time.
///
/// An f32 that grows: what a window adds is rounded to 2^-24 of what is there, so the relative error
/// of the sum of `n` like windows is some `sqrt(n) 2^-24`.
#[derive(Debug, Clone, Copy)]
pub struct Gram {
    /// `[rows, columns]`
    pub x: Slot,
    /// `[columns, columns]`, persistent, 0 at first. The diagonal and what is to the right of
    /// it are whole; what is to the left is not.
    pub gram: Slot,
    /// Rows of a window.
    pub rows: u32,
    /// Inputs of the matrix of weights.
    pub columns: u32,
}

impl Gram {
    /// Appends the launches to `plan`.
    ///
    /// # Errors
    /// [`Error::Plan`](crate::Error::Plan) of the product.
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        let Self { x, gram, rows, columns } = self;
        Matmul::new(Form::TN, [x, x, gram], [columns, columns, rows]).push_upper_onto(plan)
    }
}
