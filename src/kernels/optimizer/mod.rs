//! How gradients move weights.

use super::kernels;

kernels! {
    adagrad: Adagrad(AdagradParams);
    adam: Adam(AdamParams);
    clip_norm: ClipNorm(ClipNormParams);
    clip_value: ClipValue(ClipValueParams);
    gradient_norm: GradientNorm(GradientNormParams);
    lion: Lion(LionParams);
    momentum: Momentum(MomentumParams);
    rmsprop: RmsProp(RmsPropParams);
    running_mean: RunningMean(RunningMeanParams);
    sgd: Sgd(SgdParams);
    step;
    weight_average: WeightAverage(WeightAverageParams);
    weights;
}
