//! What sequences of tokens go through: embeddings, rotary positions, attention, softmax.

use super::kernels;

kernels! {
    attention: Attention(HeadsParams), AttentionKeyGradient(HeadsParams), AttentionQueryGradient(HeadsParams);
    embedding: Embedding(EmbeddingParams), EmbeddingGradient(EmbeddingGradientParams);
    heads;
    rotary: Rotary(RotaryParams);
    softmax: Softmax(SoftmaxParams), SoftmaxGradient(SoftmaxParams);
}
