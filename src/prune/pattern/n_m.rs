//! N:M: of every M weights of an output unit N stay, ranked among these M.
use super::{Among, Form, Grouped};
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::NmMask;
use crate::prune::{PrunedTensor, PruningSpec, Scope, Threshold};
use crate::{Error, Result};

pub(super) fn parse(text: &str) -> Option<[u32; 2]> {
    let number = |text: &str| text.trim().parse::<u32>().ok();
    text.split_once(':').and_then(|(n, m)| Some([number(n)?, number(m)?]))
}

/// Where `n`:`m` ends.
pub(super) fn sparsity(n: u32, m: u32) -> Result<f64, String> {
    if !(1..=32).contains(&m) || n == 0 || n >= m {
        return Err(format!("{n}:{m}: must be N:M, N at least 1 and below M, M at most 32"));
    }
    Ok(1.0 - f64::from(n) / f64::from(m))
}

/// Refuses settings that exclude `n`:`m`.
pub(super) fn check(spec: &PruningSpec, n: u32, m: u32) -> Result<()> {
    let refuse = |field, message: String| Err(Error::argument(field, message));
    let target = sparsity(n, m).map_err(|message| Error::argument("pattern", message))?;
    if spec.target_parameters.is_some() || spec.target_flops.is_some() {
        let message = format!("{n}:{m}: it says itself how much is left; leave out the target");
        return refuse("pattern", message);
    }
    if (spec.target_sparsity - target).abs() > 1e-9 {
        let have = spec.target_sparsity;
        return refuse(
            "target_sparsity",
            format!("{have}: pattern {n}:{m} ends at {target}; write that"),
        );
    }
    let alone = spec.scope != Scope::Global && spec.groups.is_empty();
    if spec.threshold == Threshold::Histogram || !alone {
        let write = "write threshold=exact, scope=layer, no groups";
        return refuse("pattern", format!("{n}:{m}: it ranks within its groups: {write}"));
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::prune) struct Groups {
    pub(super) m: u32,
}

impl Form for Groups {
    fn among(&self) -> Among<'_> {
        Among::Groups(self)
    }
}

impl Grouped for Groups {
    fn size(&self) -> u32 {
        self.m
    }

    fn push(
        &self,
        plan: &mut PlanBuilder,
        t: &PrunedTensor,
        values: Slot,
        counts: Slot,
        selection: u32,
    ) -> Result<()> {
        let (mask_state, mask) = (t.state, t.mask());
        let (rows, columns, m) = (t.len() / t.units(), t.units(), self.m);
        plan.push(NmMask { values, counts, selection, mask_state, mask, rows, columns, m })
    }
}
