//! N:M shared by V neighbouring output units: of every M inputs the same N stay for all V of them,
//! so that a product skips the others at any batch, as NM-SpMM does.
use std::fmt;
use std::sync::Arc;

use super::n_m::{check_groups, target_of};
use super::{Among, Form, Grouped, Kind, Pattern, Structure, Written, mask_words};
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{BlockMask, BlockPool, BlockPooling, Blocks, Layout, MaskBegin, NmMask, Units};
use crate::prune::{PrunedTensor, PruningSpec};
use crate::{Error, Result};

/// Most units that share.
const MOST: u32 = 1_024;

/// The setting.
pub(super) struct Vectors {
    pub(super) n: u32,
    pub(super) m: u32,
    pub(super) v: u32,
}

impl fmt::Display for Vectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}x{}", self.n, self.m, self.v)
    }
}

impl Written for Vectors {
    const SAID: &'static str = "N:MxV like 8:32x32";

    fn parse(text: &str) -> Option<Pattern> {
        let number = |text: &str| text.trim().parse::<u32>().ok();
        let (n, rest) = text.split_once(':')?;
        let (m, v) = rest.split_once('x')?;
        Some(Pattern::Vectors { n: number(n)?, m: number(m)?, v: number(v)? })
    }
}

impl Kind for Vectors {
    fn sparsity(&self) -> Result<Option<f64>> {
        if !(1..=MOST).contains(&self.v) {
            let message = format!("{self}: V must be 1 to {MOST}");
            return Err(Error::argument("pattern", message));
        }
        target_of([self.n, self.m], self).map(Some)
    }

    fn groups(&self) -> Option<[u32; 2]> {
        None
    }

    fn vectors(&self) -> Option<[u32; 3]> {
        Some([self.n, self.m, self.v])
    }

    fn pools(&self) -> bool {
        true
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

    fn on(&self, _: [i64; 2], matrix: Units) -> Structure {
        Arc::new(SharedGroups { matrix, m: self.m, v: self.v.min(matrix.units).max(1) })
    }
}

/// Groups of `m` inputs of `v` units each: a vector is what one input adds to these units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SharedGroups {
    matrix: Units,
    m: u32,
    v: u32,
}

impl SharedGroups {
    /// The vectors as blocks of the matrix as it lies.
    fn blocks(&self) -> Blocks {
        let Units { inputs, units, layout } = self.matrix;
        match layout {
            Layout::InOut => Blocks { rows: inputs, columns: units, height: 1, width: self.v },
            Layout::OutIn => Blocks { rows: units, columns: inputs, height: self.v, width: 1 },
        }
    }

    /// The vectors as the weights of a matrix, each unit of which is V of the other's.
    fn pooled(&self) -> Units {
        Units { units: self.matrix.units.div_ceil(self.v), ..self.matrix }
    }
}

impl Form for SharedGroups {
    fn units(&self, _: u32) -> u32 {
        self.blocks().count()
    }

    fn among(&self) -> Among<'_> {
        Among::Groups(self)
    }

    fn together(&self) -> [u32; 2] {
        let Blocks { height, width, .. } = self.blocks();
        [height, width]
    }

    fn pool(
        &self,
        plan: &mut PlanBuilder,
        name: String,
        pooling: BlockPooling,
        values: Slot,
        signed: bool,
    ) -> Result<Slot> {
        let blocks = self.blocks();
        let scores = plan.scratch(name, blocks.count());
        plan.push(BlockPool { values, scores, blocks, pooling, signed })?;
        Ok(scores)
    }
}

impl Grouped for SharedGroups {
    fn size(&self) -> u32 {
        self.m
    }

    fn pruned(&self, count: u32, _: u64) -> u64 {
        let Units { inputs, units, .. } = self.matrix;
        let (whole, rest) = (inputs / self.m, inputs % self.m);
        let kept = NmMask::kept(self.m - count.min(self.m), self.m, rest);
        (u64::from(whole) * u64::from(count) + u64::from(rest - kept)) * u64::from(units)
    }

    fn push(
        &self,
        plan: &mut PlanBuilder,
        t: &PrunedTensor,
        values: Slot,
        counts: Slot,
        selection: u32,
    ) -> Result<()> {
        let (mask_state, blocks) = (t.state, self.blocks());
        let words = mask_words(blocks.count());
        let mask = plan.scratch(format!("{}.vector_mask", t.name()), words);
        let (of, m) = (self.pooled(), self.m);
        plan.push(NmMask { values, counts, selection, mask_state, mask, of, m })?;
        // What was counted are vectors.
        plan.push(MaskBegin { mask_state, keep_nan: true })?;
        plan.push(BlockMask { block_mask: mask, mask_state, mask: t.mask(), blocks })
    }
}
