//! Every kernel against its host reference, and the device's own promises.
mod attention;
mod attention_cached;
mod attention_matrices;
mod block_matmul;
mod changes;
mod clipping;
mod conv2d;
mod cross_entropy;
mod cuts;
mod distillation;
mod elementwise;
mod f16;
mod f16_conv2d;
mod f16_parts;
mod histogram_threshold;
mod images;
mod layerwise;
mod layerwise_admm;
mod limits;
mod live_matmul;
mod loss;
mod matmul;
mod matvec;
mod metrics;
mod nan;
mod optimizers;
mod packed;
mod packed_conv2d;
mod patterns;
mod probes;
mod pull;
mod recurrent;
mod recurrent_products;
mod scores;
mod sequences;
mod sizes;
mod split;
mod together;
mod topk;
mod topk_ranges;
mod unit_floor;
mod weight_gradient;

pub(crate) use patterns::mask_of;

/// Awkward lengths: around a mask word, around a workgroup, and many workgroups.
const LENGTHS: [usize; 9] = [1, 31, 32, 33, 255, 256, 257, 1000, 70_001];
