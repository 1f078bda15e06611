// y[i, j] = exp(x_ij - m_i) / sum_k exp(x_ik - m_i) with m_i the largest of x[i], over each row of x [rows, columns].
//
// One workgroup a row.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    rows: u32,
    columns: u32,
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = row_of(group, groups);
    if row >= params.rows {
        return;
    }
    let first = row * params.columns;
    var highest = x[first];
    for (var j = lane; j < params.columns; j += 64u) {
        highest = max(highest, x[first + j]);
    }
    highest = row_max(lane, highest);
    var sum = 0.0;
    for (var j = lane; j < params.columns; j += 64u) {
        sum += exp(x[first + j] - highest);
    }
    sum = row_sum(lane, sum);
    for (var j = lane; j < params.columns; j += 64u) {
        y[first + j] = exp(x[first + j] - highest) / sum;
    }
}
