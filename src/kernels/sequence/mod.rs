//! What sequences of tokens go through: embeddings, rotary positions, attention, softmax, caches.

mod matrices;
mod teams;

use super::kernels;

kernels! {
    attention: Attention(HeadsParams), AttentionKeyGradient(HeadsParams),
        AttentionQueryGradient(HeadsParams), AttentionRows(AttentionRowsParams);
    attention_cached: AttentionCached(AttentionCachedParams), CacheRows(CacheRowsParams);
    embedding: Embedding(EmbeddingParams);
    embedding_gradient: EmbeddingClear(EmbeddingClearParams), EmbeddingEnds(EmbeddingEndsParams),
        EmbeddingGradient(EmbeddingGradientParams), EmbeddingLinks(EmbeddingLinksParams);
    heads;
    rotary: Rotary(RotaryParams);
    softmax: Softmax(SoftmaxParams), SoftmaxGradient(SoftmaxParams);
}
