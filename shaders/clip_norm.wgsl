// g = g * bound / max(norm, bound), where square holds norm^2.

@group(0) @binding(0) var<storage, read> square: array<f32>;
@group(0) @binding(1) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    len: u32,
    bound: f32,
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
    let norm = sqrt(square[0]);
    // A gradient within the bound stays the same to the bit.
    if norm > params.bound {
        gradient[i] *= params.bound / norm;
    }
}
