//! Losses, their gradients, and how many rows are right.

use super::kernels;

kernels! {
    correct: Correct(CorrectParams);
    log_loss: LogLoss(LogLossParams);
    softmax_cross_entropy: SoftmaxCrossEntropy(SoftmaxCrossEntropyParams);
    target_loss: SigmoidCrossEntropy(TargetLossParams), SquaredError(TargetLossParams);
}
