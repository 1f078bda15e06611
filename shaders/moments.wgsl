// out[0, j] = mean and out[1, j] = variance of x[i, j] over the valid rows i, for x [rows, columns].
//
// A workgroup takes 16 columns: invocation (c, r) the rows r, r + 16, ... in order, then a fixed tree.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    rows: u32,
    columns: u32,
    repeat: u32, // rows of x for each row of the batch
}

var<workgroup> partial: array<f32, 256>;

fn sum_rows(local: vec3<u32>, value: f32) -> f32 {
    let at = local.y * 16u + local.x;
    workgroupBarrier();
    partial[at] = value;
    workgroupBarrier();
    for (var half = 8u; half > 0u; half /= 2u) {
        if local.y < half {
            partial[at] += partial[at + half * 16u];
        }
        workgroupBarrier();
    }
    return partial[local.x];
}

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let j = min(group.x * 16u + local.x, params.columns - 1u);
    let rows = min(step.rows * params.repeat, params.rows);
    var sum = 0.0;
    for (var i = local.y; i < rows; i += 16u) {
        sum += x[i * params.columns + j];
    }
    let mean = sum_rows(local, sum) / f32(rows);
    var squares = 0.0;
    for (var i = local.y; i < rows; i += 16u) {
        let d = x[i * params.columns + j] - mean;
        squares += d * d;
    }
    let variance = sum_rows(local, squares) / f32(rows);
    if local.y == 0u && group.x * 16u + local.x < params.columns {
        out[j] = mean;
        out[params.columns + j] = variance;
    }
}
