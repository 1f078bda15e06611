//! N:M: of every M weights of an output unit N stay, ranked among these M.
use std::fmt;
use std::sync::Arc;

use super::{Among, Form, Grouped, Kind, Pattern, Structure, Written};
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{NmMask, Units};
use crate::prune::{PrunedTensor, PruningSpec, Scope, Threshold};
use crate::{Error, Result};

/// The setting.
pub(super) struct Nm {
    pub(super) n: u32,
    pub(super) m: u32,
}

/// The sparsity that `pattern`, which keeps n of m, ends at.
pub(super) fn target_of([n, m]: [u32; 2], pattern: &dyn fmt::Display) -> Result<f64> {
    let most = NmMask::MAX_M;
    if !(1..=most).contains(&m) || n == 0 || n >= m {
        let range = format!("must be N:M, N at least 1 and below M, M at most {most}");
        return Err(Error::argument("pattern", format!("{pattern}: {range}")));
    }
    Ok(1.0 - f64::from(n) / f64::from(m))
}

/// Refuses settings that exclude `pattern`, which ranks within groups and says its sparsity itself.
pub(super) fn check_groups(pattern: &dyn Kind, spec: &PruningSpec) -> Result<()> {
    let refuse = |field, message: String| Err(Error::argument(field, message));
    let target = pattern.sparsity()?.unwrap_or_default();
    if spec.target_parameters.is_some() || spec.target_flops.is_some() {
        let message = format!("{pattern}: it says itself how much is left; leave out the target");
        return refuse("pattern", message);
    }
    if (spec.target_sparsity - target).abs() > 1e-9 {
        let have = spec.target_sparsity;
        return refuse(
            "target_sparsity",
            format!("{have}: pattern {pattern} ends at {target}; write that"),
        );
    }
    let alone = spec.scope != Scope::Global && spec.groups.is_empty();
    if spec.threshold == Threshold::Histogram || !alone {
        let write = "write threshold=exact, scope=layer, no groups";
        return refuse("pattern", format!("{pattern}: it ranks within its groups: {write}"));
    }
    Ok(())
}

impl fmt::Display for Nm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.n, self.m)
    }
}

impl Written for Nm {
    const SAID: &'static str = "N:M like 2:4";

    fn parse(text: &str) -> Option<Pattern> {
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let (n, m) = text.split_once(':')?;
        Some(Pattern::Nm { n: number(n)?, m: number(m)? })
    }
}

impl Kind for Nm {
    fn sparsity(&self) -> Result<Option<f64>> {
        target_of([self.n, self.m], self).map(Some)
    }

    fn groups(&self) -> Option<[u32; 2]> {
        Some([self.n, self.m])
    }

    fn vectors(&self) -> Option<[u32; 3]> {
        None
    }

    fn pools(&self) -> bool {
        false
    }

    fn check_files(&self) -> Result<()> {
        Ok(())
    }

    fn check(&self, spec: &PruningSpec) -> Result<()> {
        check_groups(self, spec)
    }

    fn last_target(&self) -> Option<f64> {
        None
    }

    fn on(&self, _: [i64; 2], _: Units) -> Structure {
        Arc::new(Groups { m: self.m })
    }
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
        let (of, m) = (t.matrix(), self.m);
        NmMask { values, counts, selection, mask_state, mask, of, m }.push(plan)
    }
}
