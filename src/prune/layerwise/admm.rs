//! The best weights for a mask, by the alternating direction method of multipliers.
use super::turn::Turn;
use crate::gpu::{PlanBuilder, Slot};
use crate::kernels::{
    AdmmEnd, AdmmOperands, AdmmScore, AdmmStep, Form, MaskBegin, Matmul, NmMask, Ranked, Selection,
    UnitMask, Units,
};
use crate::{Error, Result};

/// Which weights stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Those of the mask, which is read.
    Held,
    /// The mask is chosen anew before each of the first `steps` steps, and held from then on: the
    /// weights that count least by then go, as many of the matrix as `counts` says of the step
    /// ([`Admm::counts`]).
    Grown {
        /// `[steps]`
        counts: Slot,
        /// Steps, at most those of the whole.
        steps: u32,
        /// [`MaskState`](crate::kernels::MaskState)
        mask_state: Slot,
    },
    /// The same in each output unit: so many of its weights stay as `counts` says of the step
    /// ([`Admm::kept`]), or in each group of `m` inputs of it, where there is one.
    GrownInUnits {
        /// `[steps]`
        counts: Slot,
        /// Inputs of a group.
        m: Option<u32>,
        /// Steps, at most those of the whole.
        steps: u32,
        /// [`MaskState`](crate::kernels::MaskState)
        mask_state: Slot,
    },
}

/// Updates the weights that stay so that the outputs change least, `min ||X (W - W0)||` over all
/// `W` with the mask's zeros (Boža 2024, "Fast and Effective Weight Update for Pruned Large Language
/// Models", arXiv 2401.02938). One product of `inputs x inputs x units` a step.
#[derive(Debug, Clone, Copy)]
pub struct Admm {
    /// The weights before any was pruned, as they lie in the layout of `of`; updated in place.
    pub weights: Slot,
    /// Inputs, units and layout.
    pub of: Units,
    /// [`Multipliers::inverse`](super::Multipliers::inverse)
    pub inverse: Slot,
    /// [`Multipliers::scale`](super::Multipliers::scale)
    pub scale: Slot,
    /// One bit a weight, as they lie.
    pub mask: Slot,
    /// Which stay.
    pub kept: Kept,
    /// How many steps, at least 1.
    pub steps: u32,
}

impl Admm {
    /// Steps that the paper takes.
    pub const STEPS: u32 = 20;
    /// Steps of these in which its masks grow.
    pub const GROWING: u32 = 15;

    /// What [`Kept::Grown`] is given to prune `pruned` weights in the end: how many of each step, by
    /// a cubic schedule.
    pub fn counts(pruned: u32, steps: u32) -> Vec<u32> {
        let at = |step: u32| {
            let left = 1.0 - f64::from(step + 1) / f64::from(steps);
            (f64::from(pruned) * (1.0 - left.powi(3))).round() as u32
        };
        (0..steps).map(at).collect()
    }

    /// What [`Kept::GrownInUnits`] is given where all but `pruned` weights of `size`, a unit's or a
    /// group's, stay in the end: how many do at each step.
    pub fn kept(size: u32, pruned: u32, steps: u32) -> Vec<u32> {
        Self::counts(pruned, steps).into_iter().map(|gone| size - gone.min(size)).collect()
    }

    /// Appends the launches to the phase in hand; `name` names what they allocate besides: three
    /// matrices of scratch, one more where the outputs are first, and one where the mask grows.
    ///
    /// # Errors
    /// [`Error::Plan`] of the kernels; [`Error::Argument`] by `name` where no step is asked for, or
    /// masks are to grow for more steps than there are.
    pub fn push(&self, plan: &mut PlanBuilder, name: &str) -> Result<()> {
        let &Self { weights: stored, of, inverse, scale, mask, kept, steps } = self;
        let growing = match kept {
            Kept::Held => 0,
            Kept::Grown { steps, .. } | Kept::GrownInUnits { steps, .. } => steps,
        };
        if steps == 0 || growing > steps {
            let message = format!("{steps} steps, the mask grows in {growing}: it takes 1 or more");
            return Err(Error::argument(name, message));
        }
        let turn = Turn { stored, of };
        let weights = turn.inputs_first(plan, name)?;
        let words = of.inputs.saturating_mul(of.units);
        let [product, dual, difference] = ["product", "dual", "difference"]
            .map(|what| plan.scratch(format!("{name}.{what}"), words));
        let mut grown = None;
        for step in 0..steps {
            let on = AdmmOperands { weights, scale, product, dual, of, first: step == 0 };
            if let Kept::Grown { counts, mask_state, .. } = kept
                && step < growing
            {
                let [histogram, state] = *grown.get_or_insert_with(|| {
                    let words = [Selection::HISTOGRAM_WORDS, Selection::STATE_WORDS];
                    words.map(|words| plan.persistent(format!("{name}.selection"), words))
                });
                let score = plan.scratch(format!("{name}.score"), words);
                plan.push(AdmmScore { on, score })?;
                plan.push(MaskBegin { mask_state, keep_nan: false })?;
                let (values, protect, scores) = (score, None, true);
                let ranked = Ranked { values, protect, scores, mask_state, mask, len: words };
                let selection = Selection { counts, selection: step, histogram, state };
                selection.push(plan, &format!("{name}.mask"), &[ranked])?;
            }
            if let Kept::GrownInUnits { counts, m, mask_state, .. } = kept
                && step < growing
            {
                let values = plan.scratch(format!("{name}.score"), words);
                plan.push(AdmmScore { on, score: values })?;
                plan.push(MaskBegin { mask_state, keep_nan: false })?;
                let selection = step;
                match m {
                    Some(m) => {
                        NmMask { values, counts, selection, mask_state, mask, of, m }.push(plan)?;
                    }
                    None => {
                        plan.push(UnitMask { values, counts, selection, mask_state, mask, of })?;
                    }
                }
            }
            plan.push(AdmmStep { on, mask, difference })?;
            let sizes = [of.inputs, of.units, of.inputs];
            Matmul::new(Form::NN, [inverse, difference, product], sizes).push(plan)?;
        }
        let on = AdmmOperands { weights, scale, product, dual, of, first: false };
        plan.push(AdmmEnd { on, mask })?;
        turn.back(plan, weights)
    }
}
