//! Normalisations over batches, rows and neighbouring channels.

use super::kernels;

kernels! {
    batch_norm: BatchNormalise(ColumnsParams), BatchNormaliseGradient(ColumnsParams), Moments(MomentsParams);
    merge_moments: MergeMoments(MergeMomentsParams);
    lrn: LrnApply(Lrn), LrnGradient(Lrn), LrnScale(Lrn);
    moving_average: MovingAverage(MovingAverageParams);
    normalise: Normalise(RowsParams), NormaliseGradient(RowsParams);
}
