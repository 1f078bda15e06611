// Lion (Chen et al. 2023), with the mask applied in the same pass:
// g += l2 w, w -= rate * (sign(b1 m + (1 - b1) g) + decay * w), m = b2 m + (1 - b2) g.

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> step: Step;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> first: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
    len: u32,
    beta1: f32,
    beta2: f32,
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
        }
        if PRUNED != REVIVE {
            return;
        }
    }
    let w = weights[i];
    g += params.l2 * w;
    let m = first[i];
    let towards = sign(params.beta1 * m + (1.0 - params.beta1) * g);
    first[i] = params.beta2 * m + (1.0 - params.beta2) * g;
    weights[i] = w - step.learning_rate * (towards + params.decay * w);
}
