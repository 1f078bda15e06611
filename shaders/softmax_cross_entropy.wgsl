// losses[i] = (log sum_j exp(z_ij) - sum_j q_ij z_ij) / rows, gradient[i, j] = (softmax(z_i)_j - q_ij) / rows, for the
// target q_ij = (1 - smoothing) [j = label] + smoothing / classes; correct[i] = 1 where the label has the highest logit,
// else 0.
//
// Rows of padding get 0. Shifted by the row's maximum, so that no exp overflows. The lowest index wins a tie for the
// highest. Whether a row is an invocation's or a workgroup's is another file's: narrow_cross_entropy.wgsl or
// wide_cross_entropy.wgsl.

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> step: Step;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> correct: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

struct Params {
    batch: u32,
    classes: u32,
    repeat: u32, // rows of logits for each row of the batch
    smoothing: f32,
}
