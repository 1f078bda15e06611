// norm[j] += sum over the valid rows i of x[i, j]^2, for row-major x [rows, columns].
//
// A workgroup sums 16 columns: invocation (c, r) takes rows r, r + 16, ... in order, then a fixed
// tree adds the 16 partial sums.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read_write> norm: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    rows: u32,
    columns: u32,
    repeat: u32, // rows of x for each row of the batch
}

var<workgroup> partial: array<f32, 256>;

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let j = group.x * 16u + local.x;
    let rows = min(step.rows * params.repeat, params.rows);
    var sum = 0.0;
    if j < params.columns {
        for (var i = local.y; i < rows; i += 16u) {
            let value = x[i * params.columns + j];
            sum += value * value;
        }
    }
    let at = local.y * 16u + local.x;
    partial[at] = sum;
    workgroupBarrier();
    for (var half = 8u; half > 0u; half /= 2u) {
        if local.y < half {
            partial[at] += partial[at + half * 16u];
        }
        workgroupBarrier();
    }
    if local.y == 0u && j < params.columns {
        norm[j] += partial[at];
    }
}
