// out[i] = min(exp(x[i]), limit)
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

struct Params {
    len: u32,
    limit: f32,
}
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.len {
        return;
    }
    // Past the logarithm of the largest f32 the exponential is infinite, and so is past every
    // limit.
    out[i] = min(exp(min(x[i], 88.0)), params.limit);
}
