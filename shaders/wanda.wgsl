// score[i, u] = |weights[i, u]| * sqrt(norm[i]), of input i and unit u.

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> norm: array<f32>;
@group(0) @binding(2) var<storage, read_write> score: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    inputs: u32,
    units: u32,
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.inputs * params.units {
        return;
    }
    score[i] = abs(weights[i]) * sqrt(norm[input_of(i)]);
}
