// losses[i] = -(y log(p + e) + (1 - y) log(1 - p + e)) / rows with p = sigmoid(logits[i]), and its gradient.
//
// One invocation a row; rows of padding get 0.

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> step: Step;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
    batch: u32,
    epsilon: f32,
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= params.batch {
        return;
    }
    if i >= step.rows {
        losses[i] = 0.0;
        gradient[i] = 0.0;
        return;
    }
    let scale = 1.0 / f32(step.rows);
    let p = 1.0 / (1.0 + exp(-logits[i]));
    let y = f32(min(labels[i], 1u));
    let hit = p + params.epsilon;
    let miss = 1.0 - p + params.epsilon;
    losses[i] = -(y * log(hit) + (1.0 - y) * log(miss)) * scale;
    gradient[i] = ((1.0 - y) / miss - y / hit) * p * (1.0 - p) * scale;
}
