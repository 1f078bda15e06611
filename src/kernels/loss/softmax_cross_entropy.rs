//! `softmax_cross_entropy`: the loss of each row, its gradient and whether the row is right in one
//! pass.
use crate::Result;
use crate::gpu::{
    Bound, Kernel, MAX_LOOP_ITERATIONS, Operand, PlanBuilder, Slot, Variant, grid_groups, read,
    write,
};
use crate::kernels::{STEP_WORDS, Step};

/// Losses and gradients are divided by the number of valid rows, so that their sum over the batch
/// is the mean.
#[derive(Debug, Clone, Copy)]
pub struct SoftmaxCrossEntropy {
    /// `[batch, classes]`
    pub logits: Slot,
    /// `[batch]` class numbers.
    pub labels: Slot,
    /// [`Step`]
    pub step: Slot,
    /// `[batch]`
    pub losses: Slot,
    /// `[batch, classes]`
    pub gradient: Slot,
    /// `[batch]`, as [`Correct`](crate::kernels::Correct) has it.
    pub correct: Slot,
    /// Rows, padding included.
    pub batch: u32,
    /// Columns of the logits.
    pub classes: u32,
    /// Rows of the logits for each row of the batch: the positions of a sequence.
    pub repeat: u32,
    /// Share of the target that is spread over all classes (Szegedy et al. 2016), 0 for none.
    pub smoothing: f32,
}

crate::uniform! {
    /// Uniform of [`SoftmaxCrossEntropy`].
    pub struct SoftmaxCrossEntropyParams {
        /// Rows.
        batch: u32,
        /// Columns.
        classes: u32,
        /// Rows for each row of the batch.
        repeat: u32,
        /// Share of the target that is spread over all classes.
        smoothing: f32,
    }
}

/// Most classes whose row is an invocation's, not a workgroup's.
pub(super) const WIDE: u32 = 1_024;
/// Most classes: three loops over every 64th in one invocation, and four trees.
pub(super) const MOST: u32 = (MAX_LOOP_ITERATIONS - 24) / 3 * 64;

impl SoftmaxCrossEntropy {
    /// Appends it to `plan`: on a GPU as a workgroup a row, however few classes there are, since
    /// a row for each invocation leaves most of it idle.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] for extents that do not fit the slots.
    pub fn push(self, plan: &mut PlanBuilder) -> Result<()> {
        if plan.target().software { plan.push(self) } else { plan.push(Wide(self)) }
    }
}

/// A workgroup a row.
struct Wide(SoftmaxCrossEntropy);

crate::kernels::parts! { Wide: SoftmaxCrossEntropyParams }

impl Kernel for Wide {
    const NAME: &'static str = SoftmaxCrossEntropy::NAME;
    const WGSL: &'static str = SoftmaxCrossEntropy::WGSL;
    const VARIANTS: &'static [Variant] = SoftmaxCrossEntropy::VARIANTS;
    const OPERANDS: &'static [Operand] = SoftmaxCrossEntropy::OPERANDS;
    type Params = SoftmaxCrossEntropyParams;

    fn bind(&self) -> Vec<Bound> {
        self.0.bind()
    }

    fn params(&self) -> SoftmaxCrossEntropyParams {
        self.0.params()
    }

    fn grid(&self) -> [u32; 3] {
        grid_groups(self.0.batch)
    }

    fn variant(&self) -> Option<&'static Variant> {
        Self::VARIANTS.first()
    }

    fn check(&self) -> std::result::Result<(), String> {
        self.0.check()
    }
}

impl Kernel for SoftmaxCrossEntropy {
    const NAME: &'static str = "softmax_cross_entropy";
    const WGSL: &'static str = crate::wgsl!(
        "common/step.wgsl",
        "common/cross_entropy.wgsl",
        "common/narrow_cross_entropy.wgsl",
        "softmax_cross_entropy.wgsl"
    );
    const VARIANTS: &'static [Variant] = &[Variant {
        name: "wide",
        wgsl: crate::wgsl!(
            "common/step.wgsl",
            "common/cross_entropy.wgsl",
            "common/row_sum.wgsl",
            "common/wide_cross_entropy.wgsl",
            "softmax_cross_entropy.wgsl"
        ),
    }];
    const OPERANDS: &'static [Operand] = &[
        read("logits"),
        read("labels"),
        read("step"),
        write("losses"),
        write("gradient"),
        write("correct"),
    ];
    type Params = SoftmaxCrossEntropyParams;

    fn bind(&self) -> Vec<Bound> {
        let (batch, all) = (u64::from(self.batch), u64::from(self.batch) * u64::from(self.classes));
        vec![
            self.logits.needs(all),
            self.labels.needs(batch),
            self.step.needs(STEP_WORDS.into()),
            self.losses.needs(batch),
            self.gradient.needs(all),
            self.correct.needs(batch),
        ]
    }

    fn params(&self) -> SoftmaxCrossEntropyParams {
        let &Self { batch, classes, repeat, smoothing, .. } = self;
        SoftmaxCrossEntropyParams { batch, classes, repeat, smoothing }
    }

    fn grid(&self) -> [u32; 3] {
        match self.variant() {
            None => grid_groups(self.batch.div_ceil(64)),
            Some(_) => grid_groups(self.batch),
        }
    }

    fn variant(&self) -> Option<&'static Variant> {
        Self::VARIANTS.first().filter(|_| self.classes > WIDE)
    }

    fn check(&self) -> std::result::Result<(), String> {
        let (classes, most) = (self.classes, MOST);
        if !(2..=most).contains(&classes) {
            return Err(format!("{classes} classes, must be 2 to {most}"));
        }
        if !(0.0..=1.0).contains(&self.smoothing) || self.repeat == 0 {
            let (smoothing, repeat) = (self.smoothing, self.repeat);
            return Err(format!("smoothing {smoothing} must be 0 to 1, repeat {repeat} 1 or more"));
        }
        Ok(())
    }
}

/// Host reference: losses and gradient in f64, where each row of the batch is one of the logits.
pub fn softmax_cross_entropy_reference(
    logits: &[f32],
    labels: &[u32],
    classes: usize,
    smoothing: f32,
    step: &Step,
) -> (Vec<f64>, Vec<f64>) {
    let (rows, spread) = (f64::from(step.rows), f64::from(smoothing) / classes as f64);
    let (mut losses, mut gradient) = (Vec::new(), Vec::new());
    for (i, (row, &label)) in logits.chunks(classes).zip(labels).enumerate() {
        if i >= step.rows as usize {
            losses.push(0.0);
            gradient.extend(row.iter().map(|_| 0.0));
            continue;
        }
        let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exp: Vec<f64> = row.iter().map(|z| f64::from(z - highest).exp()).collect();
        let sum: f64 = exp.iter().sum();
        let hit = |j: usize| if j == label as usize { 1.0 - f64::from(smoothing) } else { 0.0 };
        let target = |j: usize| hit(j) + spread;
        let shifted = |j: usize| f64::from(row[j] - highest);
        let along: f64 = (0..classes).map(|j| target(j) * shifted(j)).sum();
        losses.push((sum.ln() - along) / rows);
        gradient.extend(exp.iter().enumerate().map(|(j, e)| (e / sum - target(j)) / rows));
    }
    (losses, gradient)
}
