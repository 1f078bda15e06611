// RMSProp with momentum (Tieleman and Hinton 2012, TensorFlow's form), with the mask applied in the same
// pass: g += l2 w, s = decay s + (1 - decay) g^2, v = momentum v + rate * g / sqrt(s + e), w -= v.

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> step: Step;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> mean_square: array<f32>;
@group(0) @binding(5) var<storage, read_write> velocity: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

struct Params {
    len: u32,
    decay: f32,
    momentum: f32,
    epsilon: f32,
    l2: f32,
}

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
            mean_square[i] = 0.0;
            velocity[i] = 0.0;
        }
        if PRUNED != REVIVE {
            return;
        }
    }
    let w = weights[i];
    g += params.l2 * w;
    let s = params.decay * mean_square[i] + (1.0 - params.decay) * g * g;
    let v = params.momentum * velocity[i] + step.learning_rate * g / sqrt(s + params.epsilon);
    mean_square[i] = s;
    velocity[i] = v;
    weights[i] = w - v;
}
