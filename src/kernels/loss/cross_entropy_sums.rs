//! `cross_entropy_sums`: few rows of few classes, their losses and the sums of these in one launch.
use crate::gpu::{Bound, Kernel, Operand, Slot, Target, read, write};
use crate::kernels::{SoftmaxCrossEntropy, SoftmaxCrossEntropyParams};

/// What [`SoftmaxCrossEntropy`] makes on a GPU and the [`PairSum`](crate::kernels::PairSum) of its
/// losses and right rows, to the same bits, by one workgroup.
#[derive(Debug, Clone, Copy)]
pub struct CrossEntropySums {
    /// The rows.
    pub of: SoftmaxCrossEntropy,
    /// `[1]` each: the sum of the losses, and the number of right rows.
    pub sums: [Slot; 2],
}

/// Invocations of the workgroup.
const INVOCATIONS: u32 = 256;
/// Logits that each of them keeps, which fill its memory.
const OF_EACH: u32 = 6;
/// Most classes, which are lanes in other variants.
const CLASSES: u32 = 64;

impl CrossEntropySums {
    /// Whether one workgroup has room for so many rows and classes, and `target` has a use for it:
    /// on software adapters a launch costs little.
    pub fn serves(batch: u32, classes: u32, target: Target) -> bool {
        !target.software && Self::fits(batch, classes)
    }

    fn fits(batch: u32, classes: u32) -> bool {
        let logits = batch.checked_mul(classes);
        let few = logits.is_some_and(|logits| logits <= INVOCATIONS * OF_EACH);
        few && batch <= INVOCATIONS && classes <= CLASSES
    }
}

impl Kernel for CrossEntropySums {
    const NAME: &'static str = "cross_entropy_sums";
    const WGSL: &'static str =
        crate::wgsl!("common/step.wgsl", "common/cross_entropy.wgsl", "cross_entropy_sums.wgsl");
    const OPERANDS: &'static [Operand] = &[
        read("logits"),
        read("labels"),
        read("step"),
        write("losses"),
        write("gradient"),
        write("correct"),
        write("loss_sum"),
        write("correct_sum"),
    ];
    type Params = SoftmaxCrossEntropyParams;

    fn bind(&self) -> Vec<Bound> {
        self.of.bind().into_iter().chain(self.sums.map(|sum| sum.needs(1))).collect()
    }

    fn params(&self) -> SoftmaxCrossEntropyParams {
        self.of.params()
    }

    fn grid(&self) -> [u32; 3] {
        [1, 1, 1]
    }

    fn check(&self) -> Result<(), String> {
        let SoftmaxCrossEntropy { batch, classes, .. } = self.of;
        if !Self::fits(batch, classes) {
            let most = INVOCATIONS * OF_EACH;
            return Err(format!(
                "{batch} rows of {classes} classes: at most {INVOCATIONS} of {CLASSES}, and \
                 {most} logits; use softmax_cross_entropy and pair_sum"
            ));
        }
        self.of.check()
    }
}
