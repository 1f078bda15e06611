// y[i, j] = (x[i, j] - mean_i) / sqrt(mean of (x[i] - mean_i)^2 + epsilon), over each row of x [rows, columns];
// where not CENTRED the mean is taken for 0.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    rows: u32,
    columns: u32,
    epsilon: f32,
}

override CENTRED: bool = false;

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
    let count = f32(params.columns);
    var mean = 0.0;
    if CENTRED {
        var sum = 0.0;
        for (var j = lane; j < params.columns; j += 64u) {
            sum += x[first + j];
        }
        mean = row_sum(lane, sum) / count;
    }
    var squares = 0.0;
    for (var j = lane; j < params.columns; j += 64u) {
        let d = x[first + j] - mean;
        squares += d * d;
    }
    let scale = 1.0 / sqrt(row_sum(lane, squares) / count + params.epsilon);
    for (var j = lane; j < params.columns; j += 64u) {
        y[first + j] = (x[first + j] - mean) * scale;
    }
}
