// Adagrad (Duchi et al. 2011), with the mask applied in the same pass:
// g += l2 w, s += g^2, w -= rate * g / (sqrt(initial + s) + e).

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> step: Step;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> squares: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
    len: u32,
    initial: f32,
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
            squares[i] = 0.0;
        }
        if PRUNED != REVIVE {
            return;
        }
    }
    let w = weights[i];
    g += params.l2 * w;
    let s = squares[i] + g * g;
    squares[i] = s;
    weights[i] = w - step.learning_rate * g / (sqrt(params.initial + s) + params.epsilon);
}
