// out[i, c] = bias + alpha * sum over |d - c| <= radius of x[i, d]^2, for x [rows, channels].

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

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
    let first = i / params.channels * params.channels;
    let channel = i - first;
    let begin = max(channel, params.radius) - params.radius;
    let end = min(channel + params.radius + 1u, params.channels);
    var sum = 0.0;
    for (var d = begin; d < end; d += 1u) {
        sum += x[first + d] * x[first + d];
    }
    out[i] = params.bias + params.alpha * sum;
}
