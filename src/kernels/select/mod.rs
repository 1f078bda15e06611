//! The exact selection of the lowest scores.

use super::kernels;

kernels! {
    topk;
    topk_histogram: TopkHistogram(TopkHistogramParams);
    topk_mask: TopkMask(TopkMaskParams);
    topk_sample: TopkSample(TopkSampleParams);
    topk_settle: TopkSettle(TopkSettleParams);
    topk_ties: TopkTies(TopkTiesParams);
}
