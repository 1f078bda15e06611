// Adam with bias correction (Kingma and Ba 2015, algorithm 1) and decoupled weight decay (Loshchilov
// and Hutter 2019), with the mask applied in the same pass: g += l2 w,
// m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, w -= rate * (m / c1 / (sqrt(v / c2) + e) + decay * w).

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> step: Step;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> first: array<f32>;
@group(0) @binding(5) var<storage, read_write> second: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

struct Params {
    len: u32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    decay: f32,
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
            first[i] = 0.0;
            second[i] = 0.0;
        }
        if PRUNED != REVIVE {
            return;
        }
    }
    let w = weights[i];
    g += params.l2 * w;
    let m = params.beta1 * first[i] + (1.0 - params.beta1) * g;
    let v = params.beta2 * second[i] + (1.0 - params.beta2) * g * g;
    first[i] = m;
    second[i] = v;
    let move_by = m / step.correction1 / (sqrt(v / step.correction2) + params.epsilon);
    weights[i] = w - step.learning_rate * (move_by + params.decay * w);
}
