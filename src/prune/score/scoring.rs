//! What a score is, built in or given by the user.
use std::fmt;

use crate::Result;
use crate::gpu::{PlanBuilder, Slot};
use crate::prune::pattern::Form;
use crate::prune::{PrunedTensor, PruningSpec};

/// What ranks the weights of a tensor: those that rank lowest are pruned first.
///
/// A score says what it keeps from step to step, and appends launches to the plan of a run at up to
/// three places: after a forward pass, after a gradient, and before a ranking. The launches are
/// kernels of [`kernels`](crate::kernels), or any type that implements
/// [`Kernel`](crate::gpu::Kernel). The plan is made once; nothing here is called while a run goes
/// on, but for the two functions of thresholds.
///
/// The squares of the weights, for example, by kernels that are there:
///
/// ```
/// use secateur::gpu::{PlanBuilder, Slot};
/// use secateur::kernels::Saliency;
/// use secateur::prune::{PruningSpec, Ranking, Score, Scoring};
///
/// #[derive(Debug)]
/// struct Square;
///
/// impl Scoring for Square {
///     fn name(&self) -> &str {
///         "square"
///     }
///
///     fn push_score(&self, plan: &mut PlanBuilder, r: &Ranking) -> secateur::Result<Slot> {
///         let (weights, len) = (r.tensor.weights(), r.tensor.len());
///         let score = plan.scratch(format!("{}.score", r.tensor.name()), len);
///         plan.push(Saliency { weights, gradient: weights, score, len })?;
///         r.pool(plan, "blocks", score, false)
///     }
/// }
///
/// let spec = PruningSpec::to(0.9).score(Score::custom(Square));
/// assert_eq!(spec.to_string(), "target_sparsity=0.9,score=square");
/// ```
pub trait Scoring: fmt::Debug + Send + Sync {
    /// What it is called in settings, files and messages: not empty, without `,`, `[`, `]` or a
    /// space at its ends, and not the name of a built-in score. Two scores of one name count as the
    /// same.
    fn name(&self) -> &str;

    /// The tensors that it keeps for a tensor of `len` weights in `units` output units,
    /// by name, with their numbers of f32 values. All are 0 at first and part of checkpoints, as
    /// `<weight>/<name>`; a run finds them in [`PrunedTensor::score_slots`], in this order. A name
    /// must not be one of `mask`, `threshold`, `raw`, or of the optimizer's tensors.
    fn slots(&self, len: u32, units: u32) -> Vec<(&'static str, u32)> {
        let _ = (len, units);
        Vec::new()
    }

    /// Whether it ranks by what batches have left: without any, all weights score the same. Pruning
    /// in one shot then runs [`Session::calibrate`](crate::session::Session::calibrate) first.
    fn needs_batches(&self) -> bool {
        self.needs_gradients() || self.needs_inputs()
    }

    /// Whether [`push_score`](Self::push_score) reads the gradient of the last batch, which then
    /// takes as many bytes as the weights: [`PrunedTensor::gradient`] is there.
    fn needs_gradients(&self) -> bool {
        false
    }

    /// Whether it looks at what the weights are multiplied with: then
    /// [`push_forward`](Self::push_forward) is called, and a tensor that is in no product is an
    /// error.
    fn needs_inputs(&self) -> bool {
        false
    }

    /// Whether the score of a weight is |w|, so that a threshold is an edge in a histogram of
    /// magnitudes.
    fn is_magnitude(&self) -> bool {
        false
    }

    /// Refuses settings that it cannot go with; called by [`PruningSpec::validate`].
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) names the field, and what to write instead.
    fn check(&self, spec: &PruningSpec) -> Result<()> {
        let _ = spec;
        Ok(())
    }

    /// Appends what follows each forward pass, for each product that `t` is in.
    ///
    /// # Errors
    /// Of [`PlanBuilder::push`].
    fn push_forward(
        &self,
        plan: &mut PlanBuilder,
        t: &PrunedTensor,
        input: &LayerInput,
    ) -> Result<()> {
        let _ = (plan, t, input);
        Ok(())
    }

    /// Appends what follows each gradient of `t`, `gradient [len]`, while the weights are still
    /// those that it is of.
    ///
    /// # Errors
    /// Of [`PlanBuilder::push`].
    fn push_gradient(
        &self,
        plan: &mut PlanBuilder,
        t: &PrunedTensor,
        gradient: Slot,
    ) -> Result<()> {
        let _ = (plan, t, gradient);
        Ok(())
    }

    /// Appends what comes before a ranking, and says where the scores are: [`Ranking::len`] f32
    /// values, one a weight, or one a block, which [`Ranking::pool`] makes of those of weights.
    /// They rank by their magnitude, so none should be negative; NaN ends a run.
    ///
    /// # Errors
    /// Of [`PlanBuilder::push`].
    fn push_score(&self, plan: &mut PlanBuilder, ranking: &Ranking<'_>) -> Result<Slot>;

    /// The quantity that people read as a threshold, of the bits of a value that
    /// [`push_score`](Self::push_score) left; 0 for 0, which stands for a mask that nothing has
    /// updated.
    fn threshold(&self, bits: u32) -> f32 {
        f32::from_bits(bits)
    }

    /// The other way round: what a checkpoint's threshold is on the device.
    fn threshold_bits(&self, threshold: f32) -> u32 {
        threshold.to_bits()
    }
}

/// What the weights of a tensor are multiplied with in one product.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LayerInput {
    /// `[rows, inputs]`, where the weights are `[inputs, units]`, or `[units, inputs]`:
    /// [`PrunedTensor::matrix`].
    pub x: Slot,
    /// [`Step`](crate::kernels::Step): says how many rows of the batch are valid.
    pub step: Slot,
    /// Rows of `x`.
    pub rows: u32,
    /// Rows of `x` for each row of the batch: pixels of a convolution, places of a text.
    pub repeat: u32,
}

impl LayerInput {
    pub(crate) fn new([x, step]: [Slot; 2], [rows, repeat]: [u32; 2]) -> Self {
        Self { x, step, rows, repeat }
    }
}

/// A ranking that a score is asked for: of the weights of one tensor, or of its blocks.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Ranking<'a> {
    /// All settings.
    pub spec: &'a PruningSpec,
    /// What is ranked.
    pub tensor: &'a PrunedTensor,
    pub(in crate::prune) structure: &'a dyn Form,
}

impl Ranking<'_> {
    /// How many scores are asked for.
    #[expect(clippy::len_without_is_empty, reason = "a tensor without weights is refused")]
    pub fn len(&self) -> u32 {
        self.structure.units(self.tensor.len())
    }

    /// What stands for each unit that is ranked, of `values` for each weight: where blocks are
    /// pruned as one their mean or maximum, by
    /// [`block_pooling_function`](PruningSpec::block_pooling_function), in a scratch tensor
    /// `<weight>.<name>`; else the values themselves. Of `|values|`, unless they are `signed`.
    ///
    /// # Errors
    /// Of [`PlanBuilder::push`].
    pub fn pool(
        &self,
        plan: &mut PlanBuilder,
        name: &str,
        values: Slot,
        signed: bool,
    ) -> Result<Slot> {
        let pooling = self.spec.block_pooling_function;
        let name = format!("{}.{name}", self.tensor.name());
        self.structure.pool(plan, name, pooling, values, signed)
    }
}
