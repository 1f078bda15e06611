// score[i] = |weights[i]| * sqrt(second[i]).

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> second: array<f32>;
@group(0) @binding(2) var<storage, read_write> score: array<f32>;
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
    score[i] = abs(weights[i]) * sqrt(second[i]);
}
