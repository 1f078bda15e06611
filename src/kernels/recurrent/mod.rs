//! The cells of recurrent layers, and their gradients.

use super::kernels;

kernels! {
    gru: Gru(GruParams), GruGradient(GruParams), GruReset(GruParams), GruResetGradient(GruParams);
    gru_product: GruResetProduct(GruParams), GruProduct(GruParams),
        GruGradientProduct(GruParams), GruResetGradientProduct(GruParams);
    lstm: Lstm(LstmParams), LstmGradient(LstmGradientParams);
    lstm_product: LstmProduct(LstmProductParams), LstmGradientProduct(LstmGradientProductParams);
    peephole_gradient: PeepholeGradient(PeepholeGradientParams);
    projection_gradient: ProjectionGradient(ProjectionGradientParams);
    shared;
}
