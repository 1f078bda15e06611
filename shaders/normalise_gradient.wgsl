// The gradient of `normalise` by x: with y its result and s the factor of the row,
// out[i, j] = s (g[i, j] - mean of g[i] - y[i, j] * mean of (g[i] y[i])); where not CENTRED without the mean of g.

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

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
    var gradients = 0.0;
    if CENTRED {
        var sum = 0.0;
        for (var j = lane; j < params.columns; j += 64u) {
            sum += x[first + j];
            gradients += gradient[first + j];
        }
        mean = row_sum(lane, sum) / count;
        gradients = row_sum(lane, gradients) / count;
    }
    var squares = 0.0;
    var products = 0.0;
    for (var j = lane; j < params.columns; j += 64u) {
        let d = x[first + j] - mean;
        squares += d * d;
        products += gradient[first + j] * d;
    }
    let scale = 1.0 / sqrt(row_sum(lane, squares) / count + params.epsilon);
    products = row_sum(lane, products) / count * scale;
    for (var j = lane; j < params.columns; j += 64u) {
        let y = (x[first + j] - mean) * scale;
        out[first + j] = scale * (gradient[first + j] - gradients - y * products);
    }
}
