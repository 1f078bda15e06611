// The gradient of `softmax` by x: out[i, j] = y_ij (g_ij - sum_k g_ik y_ik), for its result y and the gradient g of
// that, both [rows, columns].
//
// One workgroup a row.

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

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
    var products = 0.0;
    for (var j = lane; j < params.columns; j += 64u) {
        products += gradient[first + j] * y[first + j];
    }
    products = row_sum(lane, products);
    for (var j = lane; j < params.columns; j += 64u) {
        out[first + j] = y[first + j] * (gradient[first + j] - products);
    }
}
