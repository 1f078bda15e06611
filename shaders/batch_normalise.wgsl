// y[i, j] = (x[i, j] - mean_j) / sqrt(variance_j + epsilon), for moments [2, columns]: means, then variances.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> moments: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    rows: u32,
    columns: u32,
    repeat: u32,
    epsilon: f32,
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.rows * params.columns {
        return;
    }
    let j = i % params.columns;
    y[i] = (x[i] - moments[j]) / sqrt(moments[params.columns + j] + params.epsilon);
}
