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

impl Nm {
    /// Where it ends.
    fn target(&self) -> Result<f64> {
        let &Self { n, m } = self;
        if !(1..=32).contains(&m) || n == 0 || n >= m {
            let message = format!("{n}:{m}: must be N:M, N at least 1 and below M, M at most 32");
            return Err(Error::argument("pattern", message));
        }
        Ok(1.0 - f64::from(n) / f64::from(m))
    }
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
        self.target().map(Some)
    }

    fn groups(&self) -> Option<[u32; 2]> {
        Some([self.n, self.m])
    }

    fn pools(&self) -> bool {
        false
    }

    fn check_files(&self) -> Result<()> {
        Ok(())
    }

    fn check(&self, spec: &PruningSpec) -> Result<()> {
        let &Self { n, m } = self;
        let refuse = |field, message: String| Err(Error::argument(field, message));
        let target = self.target()?;
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
