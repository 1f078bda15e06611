//! SparseGPT: pruning input by input, the inputs behind making up for each.
use super::FactorLayout;
use super::factor_layout::Part;
use super::turn::Turn;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{
    Form, Goes, MASK_STATE_WORDS, MaskBegin, Matmul, ObsScore, ObsSweep, Ranked, Selection, Units,
    mask_words,
};
use crate::{Error, Result};

/// Which weights go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    /// In each block of inputs so many, over all units, as `counts` says of it: words that
    /// [`SparseGpt::counts`] makes. Of equal ones those of the first inputs stay, and of these those
    /// of the first units.
    Share {
        /// `[blocks]`
        counts: Slot,
    },
    /// All but `n` of every `m` inputs of a unit; of a shorter last group `n` stay, too.
    Groups {
        /// How many stay.
        n: u32,
        /// Inputs of a group, 2 to 32.
        m: u32,
    },
}

impl Chosen {
    /// The group's size.
    pub fn m(&self) -> Option<u32> {
        match *self {
            Self::Share { .. } => None,
            Self::Groups { m, .. } => Some(m),
        }
    }
}

/// Prunes one matrix of weights and updates those that stay, so that its outputs change least
/// (Frantar and Alistarh 2023, "SparseGPT", arXiv 2301.00774): block after block of 128 inputs, or
/// of the whole groups that fit, each sweep followed by one product for all inputs behind it.
#[derive(Debug, Clone, Copy)]
pub struct SparseGpt {
    /// The weights, as they lie in the layout of `of`; what goes becomes 0, the rest makes up for
    /// it.
    pub weights: Slot,
    /// Inputs, units and layout.
    pub of: Units,
    /// [`Factor`](super::Factor), in [`factor_layout`](Self::factor_layout).
    pub factor: Slot,
    /// One bit a weight, as they lie; written whole.
    pub mask: Slot,
    /// [`MaskState`](crate::kernels::MaskState): what is kept, changed and NaN; any NaN is an error.
    pub mask_state: Slot,
    /// Which weights go.
    pub chosen: Chosen,
}

impl SparseGpt {
    /// How the factor is to lie.
    pub fn factor_layout(&self) -> FactorLayout {
        FactorLayout::new(self.of.inputs, self.chosen.m())
    }

    /// What [`Chosen::Share`] is given to prune `pruned` weights: how many of each block, all to
    /// about the same share.
    pub fn counts(of: Units, pruned: u64) -> Vec<u32> {
        let up_to = |input: u64| {
            let share = u128::from(pruned) * u128::from(input) / u128::from(of.inputs.max(1));
            share as u64
        };
        let layout = FactorLayout::new(of.inputs, None);
        let one = |[first, count]: [u64; 2]| (up_to(first + count) - up_to(first)) as u32;
        layout.counts().map(one).collect()
    }

    /// Appends the launches to the phase in hand; `name` names what they allocate besides: scratch
    /// for a block, the matrix once more where its outputs are first, and the histogram of a
    /// selection.
    ///
    /// # Errors
    /// [`Error::Plan`] of the kernels; [`Error::Argument`] by `name` for 2^32 weights or more, and
    /// for a factor that is too short.
    pub fn push(&self, plan: &mut PlanBuilder, name: &str) -> Result<()> {
        let &Self { weights: stored, of, factor, mask, mask_state, chosen } = self;
        let layout = self.factor_layout();
        if of.len() > u32::MAX.into() {
            let (Units { inputs, units, .. }, most) = (of, u32::MAX);
            let message = format!("{inputs} x {units} weights, it takes {most}");
            return Err(Error::argument(name, message));
        }
        if u64::from(factor.words) < layout.words() {
            let (have, need, n) = (factor.words, layout.words(), of.inputs);
            let message = format!("the factor of {n} inputs takes {need} words, it has {have}");
            return Err(Error::argument(name, message));
        }
        let turn = Turn { stored, of };
        let weights = turn.inputs_first(plan, name)?;
        plan.push(MaskBegin { mask_state, keep_nan: false })?;
        let mut kept = None;
        for (selection, Part { block, tail, rest }) in (0..).zip(layout.parts()) {
            let goes = match chosen {
                Chosen::Groups { n, m } => Goes::Groups { n, m },
                Chosen::Share { counts } => {
                    let score = plan.scratch(format!("{name}.score"), block.count * of.units);
                    plan.push(ObsScore { weights, factor, score, units: of.units, block })?;
                    let [histogram, state] = *kept.get_or_insert_with(|| {
                        let words = [Selection::HISTOGRAM_WORDS, Selection::STATE_WORDS];
                        words.map(|words| plan.persistent(format!("{name}.selection"), words))
                    });
                    let selection = Selection { counts, selection, histogram, state };
                    Goes::Clear(select(plan, name, selection, score)?)
                }
            };
            let errors = plan.scratch(format!("{name}.errors"), block.count * of.units);
            plan.push(ObsSweep { factor, goes, weights, errors, mask, mask_state, of, block })?;
            if rest > 0 {
                let sizes = [rest, of.units, block.count];
                let mut product = Matmul::new(Form::TN, [factor, errors, weights], sizes);
                product.begin = [tail, (block.first + block.count) * of.units];
                product.push_onto(plan)?;
            }
        }
        turn.back(plan, weights)
    }
}

/// The mask of a block whose scores are `score`.
fn select(plan: &mut PlanBuilder, name: &str, by: Selection, score: Slot) -> Result<Slot> {
    let len = score.words;
    let mask = plan.scratch(format!("{name}.selected"), mask_words(len));
    // Nobody asks what this selection changes.
    let mask_state = plan.scratch(format!("{name}.selected.state"), MASK_STATE_WORDS);
    plan.push(MaskBegin { mask_state, keep_nan: false })?;
    let ranked = Ranked { values: score, protect: None, scores: true, mask_state, mask, len };
    by.push(plan, name, &[ranked])?;
    Ok(mask)
}
