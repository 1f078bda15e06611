// y[i] = x[i] / scale[i]^beta, for scales that `lrn_scale` made: positive numbers.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> scale: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    len: u32,
    channels: u32,
    radius: u32,
    bias: f32,
    alpha: f32,
    beta: f32,
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
    y[i] = x[i] * pow(scale[i], -params.beta);
}
