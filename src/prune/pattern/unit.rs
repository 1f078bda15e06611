//! `scope=unit`: each weight is ranked among those of its output unit, a column.
use super::n_m::Groups;
use super::{Among, Form, Grouped};
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{NmMask, UnitMask};
use crate::prune::{Pattern, PrunedTensor, PruningSpec, Regrow, Threshold};
use crate::{Error, Result};

/// Refuses settings that exclude it.
pub(super) fn check(spec: &PruningSpec) -> Result<()> {
    let exact = spec.threshold == Threshold::Exact && spec.regrow == Regrow::None;
    let plain = spec.pattern == Pattern::Element && !spec.has_blocks();
    if exact && plain && spec.groups.is_empty() {
        return Ok(());
    }
    let message = "unit ranks the weights of each output unit: write pattern=element, 1x1 blocks, no groups, threshold=exact, regrow=none";
    Err(Error::argument("scope", message))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::prune) struct Unit {
    /// Weights of a unit.
    pub(super) rows: u32,
}

impl Form for Unit {
    fn among(&self) -> Among<'_> {
        Among::Groups(self)
    }
}

impl Grouped for Unit {
    fn size(&self) -> u32 {
        self.rows
    }

    fn push(
        &self,
        plan: &mut PlanBuilder,
        t: &PrunedTensor,
        values: Slot,
        counts: Slot,
        selection: u32,
    ) -> Result<()> {
        // A unit that is one group of N:M takes one read.
        if self.rows <= NmMask::MAX_M {
            return Groups { m: self.rows }.push(plan, t, values, counts, selection);
        }
        let (mask_state, mask, of) = (t.state, t.mask(), t.matrix());
        plan.push(UnitMask { values, counts, selection, mask_state, mask, of })
    }
}
