//! Losses, their gradients, and metrics: how many rows or labels are right, and how far predictions
//! are off.

use super::kernels;

kernels! {
    correct: Correct(CorrectParams);
    cross_entropy_sums: CrossEntropySums(SoftmaxCrossEntropyParams);
    distillation: Distillation(DistillationParams);
    log_loss: LogLoss(LogLossParams);
    softmax_cross_entropy: SoftmaxCrossEntropy(SoftmaxCrossEntropyParams);
    targets: SigmoidCrossEntropy(TargetParams), SquaredError(TargetParams),
        AbsoluteError(TargetParams), RightLabels(TargetParams);
    top_k: TopK(TopKParams);
}
