//! What ranks weights, where it is not |w|.

use super::kernels;

kernels! {
    change: Change(ChangeParams);
    change_norm: ChangeNorm(ChangeNormParams);
    fisher: Fisher(FisherParams);
    input_norm: InputNorm(InputNormParams);
    movement: Movement(MovementParams);
    movement_score: MovementScore(MovementScoreParams);
    outliers: Outliers(OutliersParams);
    random_score: RandomScore(RandomScoreParams);
    saliency: Saliency(SaliencyParams);
    wanda: Wanda(WandaParams);
}
