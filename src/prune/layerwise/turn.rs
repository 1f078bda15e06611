//! Weights as `[inputs, units]`, which all launches here work on.
use crate::Result;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{Layout, Rearrange, Strides, Units};

/// A matrix that may have its outputs first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    /// Where it is stored.
    pub(super) stored: Slot,
    /// How.
    pub(super) of: Units,
}

impl Turn {
    /// The weights `[inputs, units]`: themselves, or a copy in scratch.
    pub(super) fn inputs_first(self, plan: &mut PlanBuilder, name: &str) -> Result<Slot> {
        let Units { inputs, units, layout } = self.of;
        if layout == Layout::InOut {
            return Ok(self.stored);
        }
        let turned = plan.scratch(format!("{name}.turned"), inputs.saturating_mul(units));
        plan.push(transpose([self.stored, turned], [units, inputs]))?;
        Ok(turned)
    }

    /// Puts them back to where they are stored.
    pub(super) fn back(self, plan: &mut PlanBuilder, turned: Slot) -> Result<()> {
        let Units { inputs, units, layout } = self.of;
        if layout == Layout::InOut {
            return Ok(());
        }
        plan.push(transpose([turned, self.stored], [inputs, units]))
    }
}

/// `out [columns, rows]` of `x [rows, columns]`.
fn transpose(slots: [Slot; 2], [rows, columns]: [u32; 2]) -> Rearrange {
    let from = Strides { begin: 0, outer: 1, inner: columns };
    let to = Strides { begin: 0, outer: rows, inner: 1 };
    Rearrange::new(slots, [columns, rows, 1], [from, to])
}
