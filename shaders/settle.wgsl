// weights[i] = 0 where bit i of mask is clear, and anchor[i] = 0 everywhere.

@group(0) @binding(0) var<storage, read> mask: array<u32>;
@group(0) @binding(1) var<storage, read_write> weights: array<f32>;
@group(0) @binding(2) var<storage, read_write> anchor: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    len: u32,
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
    if !bit(mask[i / 32u], i) {
        weights[i] = 0.0;
    }
    anchor[i] = 0.0;
}
