// out[0, j] = mean and out[1, j] = variance of x[i, j] over the valid rows i, for x [rows, columns].
//
// A workgroup takes 16 columns: invocation (c, r) the rows r, r + 16, ... in order, then a fixed tree. Where there are
// several parts, part p takes sixteen p of every so many sixteens of rows, and has an out [2, columns] of its own.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    rows: u32,
    columns: u32,
    repeat: u32, // rows of x for each row of the batch
    parts: u32,
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
    let stride = 16u * params.parts;
    let first = 16u * group.y + local.y;
    let count = f32(rows_of_part(rows, params.parts, group.y));
    var sum = 0.0;
    // Four loads are on their way at once; the order of additions is that of one at a time.
    let apart = stride * params.columns;
    var i = first;
    for (; i + 3u * stride < rows; i += 4u * stride) {
        let at = i * params.columns + j;
        let a = x[at];
        let b = x[at + apart];
        let c = x[at + 2u * apart];
        let d = x[at + 3u * apart];
        sum += a;
        sum += b;
        sum += c;
        sum += d;
    }
    for (; i < rows; i += stride) {
        sum += x[i * params.columns + j];
    }
    let mean = sum_rows(local, sum) / count;
    var squares = 0.0;
    i = first;
    for (; i + 3u * stride < rows; i += 4u * stride) {
        let at = i * params.columns + j;
        let a = x[at] - mean;
        let b = x[at + apart] - mean;
        let c = x[at + 2u * apart] - mean;
        let d = x[at + 3u * apart] - mean;
        squares += a * a;
        squares += b * b;
        squares += c * c;
        squares += d * d;
    }
    for (; i < rows; i += stride) {
        let d = x[i * params.columns + j] - mean;
        squares += d * d;
    }
    let variance = sum_rows(local, squares) / count;
    if local.y == 0u && group.x * 16u + local.x < params.columns {
        let at = group.y * 2u * params.columns + j;
        out[at] = mean;
        out[at + params.columns] = variance;
    }
}
