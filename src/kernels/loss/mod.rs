//! Losses, their gradients, and metrics: how many rows or labels are right, and how far predictions
//! are off.

use super::kernels;

kernels! {
    correct: Correct(CorrectParams);
    log_loss: LogLoss(LogLossParams);
    softmax_cross_entropy: SoftmaxCrossEntropy(SoftmaxCrossEntropyParams);
    target_loss: SigmoidCrossEntropy(TargetLossParams), SquaredError(TargetLossParams);
    target_metric: AbsoluteError(TargetMetricParams), RightLabels(TargetMetricParams);
    top_k: TopK(TopKParams);
}
