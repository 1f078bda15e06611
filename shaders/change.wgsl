// g = decay g + (1 - decay) d / max(||d||, 1e-6), where d is the weight's change; then the history
// moves on by one step.

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> total: array<f32>;
@group(0) @binding(2) var<storage, read_write> history: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    len: u32,
    decay: f32,
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
    let w = weights[i];
    let old = history[i];
    var older = 0.0;
    if SECOND {
        older = history[params.len + i];
        history[params.len + i] = old;
    }
    history[i] = w;
    // Not max(), which may drop a NaN.
    var square = total[0];
    if square < 1e-12 {
        square = 1e-12;
    }
    let n = change(w, old, older) * inverseSqrt(square);
    gradient[i] = params.decay * gradient[i] + (1.0 - params.decay) * n;
}
