//! The cells of recurrent layers, and their gradients.

use super::kernels;

kernels! {
    gru: Gru(GruParams), GruGradient(GruParams), GruReset(GruParams), GruResetGradient(GruParams);
    lstm: Lstm(LstmParams), LstmGradient(LstmGradientParams);
    peephole_gradient: PeepholeGradient(PeepholeGradientParams);
    projection_gradient: ProjectionGradient(ProjectionGradientParams);
    shared;
}
