//! What sequences of tokens go through: embeddings, attention, softmax.

use super::kernels;

kernels! {
    attention: Attention(HeadsParams), AttentionKeyGradient(HeadsParams), AttentionQueryGradient(HeadsParams);
    embedding: Embedding(EmbeddingParams), EmbeddingGradient(EmbeddingGradientParams);
    softmax: Softmax(SoftmaxParams), SoftmaxGradient(SoftmaxParams);
}
