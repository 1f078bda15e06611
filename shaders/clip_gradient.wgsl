// g = clipped(g) * bound / max(norm, bound), where square holds norm^2; without NORM only g = clipped(g).

@group(0) @binding(0) var<storage, read> square: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    len: u32,
    multiplier: f32,
    value: f32,
    bound: f32,
}

override NORM: bool = false;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.len {
        return;
    }
    var g = clipped(gradient[i], params.multiplier, params.value);
    if NORM {
        let norm = sqrt(square[0]);
        // A gradient within the bound stays the same to the bit.
        if norm > params.bound {
            g *= params.bound / norm;
        }
    }
    gradient[i] = g;
}
