// v = momentum * v + g + decay * w, then w -= rate * v (Nesterov: rate * (g + decay * w + momentum * v)),
// with the mask applied in the same pass.

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> step: Step;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> velocity: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
    len: u32,
    momentum: f32,
    decay: f32,
}

override NESTEROV: bool = false;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.len {
        return;
    }
    var g = gradient[i];
    if PRUNED != DENSE && !bit(mask[i / 32u], i) {
        g = 0.0;
        if PRUNED == ZERO {
            weights[i] = 0.0;
            velocity[i] = 0.0;
        }
        if PRUNED != REVIVE {
            return;
        }
    }
    let w = weights[i];
    g += params.decay * w;
    let v = params.momentum * velocity[i] + g;
    velocity[i] = v;
    weights[i] = w - step.learning_rate * select(v, g + params.momentum * v, NESTEROV);
}
