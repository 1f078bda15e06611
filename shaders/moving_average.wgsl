// average[i] += (1 - decay) * (x[i] - average[i])

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> average: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    len: u32,
    share: f32, // 1 - decay
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
    average[i] += params.share * (x[i] - average[i]);
}
