// losses[i] = (log sum_j exp(z_ij) - z_i,label) / rows, gradient[i, j] = (softmax(z_i)_j - [j = label]) / rows.
//
// One invocation a row; rows of padding get 0. Shifted by the row's maximum, so that no exp overflows.

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> step: Step;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
    batch: u32,
    classes: u32,
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= params.batch {
        return;
    }
    let first = i * params.classes;
    if i >= step.rows {
        losses[i] = 0.0;
        for (var j = 0u; j < params.classes; j += 1u) {
            gradient[first + j] = 0.0;
        }
        return;
    }
    var highest = logits[first];
    for (var j = 1u; j < params.classes; j += 1u) {
        highest = max(highest, logits[first + j]);
    }
    var sum = 0.0;
    for (var j = 0u; j < params.classes; j += 1u) {
        sum += exp(logits[first + j] - highest);
    }
    let scale = 1.0 / f32(step.rows);
    let label = min(labels[i], params.classes - 1u);
    // In this order: the logits may be large, their differences are not.
    losses[i] = (log(sum) - (logits[first + label] - highest)) * scale;
    for (var j = 0u; j < params.classes; j += 1u) {
        let p = exp(logits[first + j] - highest) / sum;
        gradient[first + j] = (p - select(0.0, 1.0, j == label)) * scale;
    }
}
