//! Floor 2: the kernels. One file each, named as its WGSL file, with a host reference in f64 beside it.
mod activate;
mod activation;
mod adagrad;
mod adam;
mod add;
mod apply_mask;
mod attention;
mod batch_norm;
mod bin_count;
mod bin_pick;
mod block_mask;
mod block_pool;
mod change;
mod change_norm;
mod clip_norm;
mod clip_value;
mod column_sum;
mod conv2d;
mod copy_probe;
mod correct;
mod dropout;
mod embedding;
mod fma_probe;
mod gate;
mod gradient_norm;
mod gru;
mod half_begin;
mod half_copy;
mod half_matmul;
mod histogram_threshold;
mod input_norm;
mod kept_energy;
mod lion;
mod log_loss;
mod lrn;
mod lstm;
mod magnitude_peak;
mod mask;
mod mask_begin;
mod matmul;
mod momentum;
mod movement;
mod movement_score;
mod moving_average;
mod mul;
mod nm_mask;
mod normalise;
mod pair_sum;
mod peephole_gradient;
mod pool;
mod pool_gradient;
mod product;
mod projection_gradient;
mod random;
mod random_score;
mod rearrange;
mod recurrent;
mod rmsprop;
mod running_mean;
mod saliency;
mod selftest;
mod sgd;
mod softmax;
mod softmax_cross_entropy;
mod step;
mod sums;
mod target_loss;
mod threshold_mask;
mod topk;
mod topk_bounds;
mod topk_histogram;
mod topk_mask;
mod topk_order;
mod topk_pick;
mod topk_sample;
mod topk_scan;
mod topk_settle;
mod topk_ties;
mod tune;
mod unit_floor;
mod unit_mask;
mod unit_peak;
mod wanda;
mod weight_average;
mod window;

pub use activate::{Activate, ActivateParams, activate_reference};
pub use activation::Activation;
pub use adagrad::{Adagrad, AdagradParams, adagrad_reference};
pub use adam::{Adam, AdamParams, adam_reference};
pub use add::{Add, AddParams, add_reference};
pub use apply_mask::{ApplyMask, ApplyMaskParams, apply_mask_reference};
pub use attention::{
    Attention, AttentionKeyGradient, AttentionQueryGradient, Heads, HeadsParams,
    attention_gradient_reference, attention_reference,
};
pub use batch_norm::{
    BatchNormalise, BatchNormaliseGradient, Columns, ColumnsParams, Moments, MomentsParams,
    batch_normalise_gradient_reference, batch_normalise_reference, moments_reference,
};
pub use bin_count::{BinCount, BinCountParams};
pub use bin_pick::{BinPick, BinPickParams};
pub use block_mask::{BlockMask, block_mask_reference};
pub use block_pool::{
    BlockPool, BlockPooling, Blocks, BlocksParams, block_pool_reference,
    signed_block_pool_reference,
};
pub use change::{Change, ChangeParams, change_reference};
pub use change_norm::{ChangeNorm, ChangeNormParams, change_norm_reference};
pub use clip_norm::{ClipNorm, ClipNormParams, clip_norm_reference};
pub use clip_value::{ClipValue, ClipValueParams, clip_value_reference};
pub use column_sum::{ColumnSum, ColumnSumParams, column_sum_reference};
pub use conv2d::{Conv2d, Conv2dParams, Convolution, conv2d_reference};
pub use copy_probe::{CopyProbe, CopyProbeParams};
pub use correct::{Correct, CorrectParams, correct_reference};
pub use dropout::{Dropout, DropoutParams, dropout_reference};
pub use embedding::{
    Embedding, EmbeddingGradient, EmbeddingGradientParams, EmbeddingParams,
    embedding_gradient_reference, embedding_reference,
};
pub use fma_probe::{FmaProbe, FmaProbeParams, fma_probe_reference};
pub use gate::{Gate, GateParams, gate_reference};
pub use gradient_norm::{GradientNorm, GradientNormParams, gradient_norm_reference};
pub use gru::{
    Gru, GruGradient, GruParams, GruReset, GruResetGradient, GruStep, gru_gradient_reference,
    gru_reference,
};
pub use half_begin::{HalfBegin, HalfBeginParams};
pub use half_copy::{HalfCopy, HalfCopyParams, half_copy_reference, half_power};
pub use half_matmul::{Half, HalfMatmul, HalfMatmulParams};
pub use histogram_threshold::{HistogramThreshold, histogram_threshold_reference};
pub use input_norm::{InputNorm, InputNormParams, input_norm_reference};
pub use kept_energy::{KeptEnergy, KeptEnergyParams, kept_energy_reference};
pub use lion::{Lion, LionParams, lion_reference};
pub use log_loss::{LogLoss, LogLossParams, log_loss_reference};
pub use lrn::{
    Lrn, LrnApply, LrnGradient, LrnScale, lrn_gradient_reference, lrn_reference,
    lrn_scale_reference,
};
pub use lstm::{
    Lstm, LstmGradient, LstmGradientParams, LstmParams, LstmStep, lstm_gradient_reference,
    lstm_reference,
};
pub use magnitude_peak::{MagnitudePeak, MagnitudePeakParams};
pub use mask::{MASK_STATE_WORDS, MaskState, Pruned, bit, mask_words, ones};
pub use mask_begin::{MaskBegin, MaskBeginParams};
pub use matmul::{Form, Matmul, MatmulParams, matmul_reference};
pub use momentum::{Momentum, MomentumParams, momentum_reference};
pub use movement::{Movement, MovementParams, movement_reference};
pub use movement_score::{
    MovementScore, MovementScoreParams, movement_of_score, movement_score_reference,
};
pub use moving_average::{MovingAverage, MovingAverageParams, moving_average_reference};
pub use mul::{Mul, MulParams, mul_reference};
pub use nm_mask::{NmMask, NmMaskParams, nm_mask_reference};
pub use normalise::{
    Normalise, NormaliseGradient, Rows, RowsParams, normalise_gradient_reference,
    normalise_reference,
};
pub use pair_sum::{PairSum, PairSumParams, pair_sum_reference};
pub use peephole_gradient::{PeepholeGradient, PeepholeGradientParams};
pub use pool::{Pool, pool_reference};
pub use pool_gradient::{PoolGradient, pool_gradient_reference};
pub use projection_gradient::{ProjectionGradient, ProjectionGradientParams};
pub use random::{mix_bits, random_bits};
pub use random_score::{RandomScore, RandomScoreParams, random_score_reference};
pub use rearrange::{Places, Rearrange, RearrangeParams, rearrange_reference};
pub use recurrent::Stride;
pub use rmsprop::{RmsProp, RmsPropParams, rmsprop_reference};
pub use running_mean::{RunningMean, RunningMeanParams, running_mean_reference};
pub use saliency::{Saliency, SaliencyParams, saliency_reference};
pub use selftest::{Check, LoopProbe, LoopProbeParams, selftest};
pub use sgd::{Sgd, SgdParams, sgd_reference};
pub use softmax::{
    Softmax, SoftmaxGradient, SoftmaxParams, softmax_gradient_reference, softmax_reference,
};
pub use softmax_cross_entropy::{
    SoftmaxCrossEntropy, SoftmaxCrossEntropyParams, softmax_cross_entropy_reference,
};
pub use step::{STEP_WORDS, Step};
pub use target_loss::{
    SigmoidCrossEntropy, SquaredError, TargetLossParams, sigmoid_cross_entropy_reference,
    squared_error_reference,
};
pub use threshold_mask::{ThresholdMask, ThresholdMaskParams};
pub use topk::{Ranked, Selection, TOPK_STATE_WORDS, TopkState, topk_reference};
pub use topk_bounds::{TopkBounds, TopkBoundsParams};
pub use topk_histogram::{TopkHistogram, TopkHistogramParams};
pub use topk_mask::{TopkMask, TopkMaskParams};
pub use topk_order::{TopkOrder, TopkOrderParams};
pub use topk_pick::{TopkPick, TopkPickParams};
pub use topk_sample::{TopkSample, TopkSampleParams};
pub use topk_scan::{TopkScan, TopkScanParams};
pub use topk_settle::{TopkSettle, TopkSettleParams};
pub use topk_ties::{TopkTies, TopkTiesParams};
pub use tune::{TUNED_SIZES, Tuned, tune};
pub use unit_floor::{UnitFloor, UnitFloorParams, unit_floor_reference};
pub use unit_mask::{UnitMask, UnitMaskParams};
pub use unit_peak::{UnitPeak, UnitPeakParams, unit_peak_reference};
pub use wanda::{Wanda, WandaParams, wanda_reference};
pub use weight_average::{WeightAverage, WeightAverageParams, weight_average_reference};
pub use window::{Pooling, WindowParams};

/// Calls `$visit!(Kernel, Params)` for every kernel: the list that the tests walk.
#[macro_export]
macro_rules! for_each_kernel {
    ($visit:ident) => {
        $visit!(Activate, ActivateParams);
        $visit!(Adagrad, AdagradParams);
        $visit!(Adam, AdamParams);
        $visit!(Add, AddParams);
        $visit!(ApplyMask, ApplyMaskParams);
        $visit!(Attention, HeadsParams);
        $visit!(AttentionKeyGradient, HeadsParams);
        $visit!(AttentionQueryGradient, HeadsParams);
        $visit!(BatchNormalise, ColumnsParams);
        $visit!(BatchNormaliseGradient, ColumnsParams);
        $visit!(BinCount, BinCountParams);
        $visit!(BinPick, BinPickParams);
        $visit!(BlockMask, BlocksParams);
        $visit!(BlockPool, BlocksParams);
        $visit!(Change, ChangeParams);
        $visit!(ChangeNorm, ChangeNormParams);
        $visit!(ClipNorm, ClipNormParams);
        $visit!(ClipValue, ClipValueParams);
        $visit!(ColumnSum, ColumnSumParams);
        $visit!(Conv2d, Conv2dParams);
        $visit!(CopyProbe, CopyProbeParams);
        $visit!(Correct, CorrectParams);
        $visit!(Dropout, DropoutParams);
        $visit!(Embedding, EmbeddingParams);
        $visit!(EmbeddingGradient, EmbeddingGradientParams);
        $visit!(FmaProbe, FmaProbeParams);
        $visit!(Gate, GateParams);
        $visit!(GradientNorm, GradientNormParams);
        $visit!(Gru, GruParams);
        $visit!(GruGradient, GruParams);
        $visit!(GruReset, GruParams);
        $visit!(GruResetGradient, GruParams);
        $visit!(HalfBegin, HalfBeginParams);
        $visit!(HalfCopy, HalfCopyParams);
        $visit!(HalfMatmul, HalfMatmulParams);
        $visit!(InputNorm, InputNormParams);
        $visit!(KeptEnergy, KeptEnergyParams);
        $visit!(Lion, LionParams);
        $visit!(LogLoss, LogLossParams);
        $visit!(LoopProbe, LoopProbeParams);
        $visit!(LrnApply, Lrn);
        $visit!(LrnGradient, Lrn);
        $visit!(LrnScale, Lrn);
        $visit!(Lstm, LstmParams);
        $visit!(LstmGradient, LstmGradientParams);
        $visit!(MagnitudePeak, MagnitudePeakParams);
        $visit!(MaskBegin, MaskBeginParams);
        $visit!(Matmul, MatmulParams);
        $visit!(Moments, MomentsParams);
        $visit!(Momentum, MomentumParams);
        $visit!(Movement, MovementParams);
        $visit!(MovementScore, MovementScoreParams);
        $visit!(MovingAverage, MovingAverageParams);
        $visit!(Mul, MulParams);
        $visit!(NmMask, NmMaskParams);
        $visit!(Normalise, RowsParams);
        $visit!(NormaliseGradient, RowsParams);
        $visit!(PairSum, PairSumParams);
        $visit!(PeepholeGradient, PeepholeGradientParams);
        $visit!(Pool, WindowParams);
        $visit!(PoolGradient, WindowParams);
        $visit!(ProjectionGradient, ProjectionGradientParams);
        $visit!(RandomScore, RandomScoreParams);
        $visit!(RmsProp, RmsPropParams);
        $visit!(Rearrange, RearrangeParams);
        $visit!(RunningMean, RunningMeanParams);
        $visit!(Saliency, SaliencyParams);
        $visit!(Sgd, SgdParams);
        $visit!(SigmoidCrossEntropy, TargetLossParams);
        $visit!(Softmax, SoftmaxParams);
        $visit!(SoftmaxCrossEntropy, SoftmaxCrossEntropyParams);
        $visit!(SoftmaxGradient, SoftmaxParams);
        $visit!(SquaredError, TargetLossParams);
        $visit!(ThresholdMask, ThresholdMaskParams);
        $visit!(TopkBounds, TopkBoundsParams);
        $visit!(TopkHistogram, TopkHistogramParams);
        $visit!(TopkMask, TopkMaskParams);
        $visit!(TopkOrder, TopkOrderParams);
        $visit!(TopkPick, TopkPickParams);
        $visit!(TopkSample, TopkSampleParams);
        $visit!(TopkScan, TopkScanParams);
        $visit!(TopkSettle, TopkSettleParams);
        $visit!(TopkTies, TopkTiesParams);
        $visit!(UnitFloor, UnitFloorParams);
        $visit!(UnitMask, UnitMaskParams);
        $visit!(UnitPeak, UnitPeakParams);
        $visit!(Wanda, WandaParams);
        $visit!(WeightAverage, WeightAverageParams);
    };
}
