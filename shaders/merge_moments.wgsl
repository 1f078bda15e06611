// out[0, j] = mean and out[1, j] = variance of column j, from those of its parts in x [parts, 2, columns] (Chan et al.
// 1979); a part without a valid row counts for nothing.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    rows: u32,
    columns: u32,
    repeat: u32, // rows for each row of the batch
    parts: u32,
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let j = flat_index(id, groups);
    if j >= params.columns {
        return;
    }
    let rows = min(step.rows * params.repeat, params.rows);
    var sum = 0.0;
    for (var p = 0u; p < params.parts; p += 1u) {
        let count = rows_of_part(rows, params.parts, p);
        if count > 0u {
            sum += f32(count) * x[p * 2u * params.columns + j];
        }
    }
    let mean = sum / f32(rows);
    var squares = 0.0;
    for (var p = 0u; p < params.parts; p += 1u) {
        let count = rows_of_part(rows, params.parts, p);
        if count > 0u {
            let at = p * 2u * params.columns + j;
            let d = x[at] - mean;
            squares += f32(count) * (x[at + params.columns] + d * d);
        }
    }
    out[j] = mean;
    out[params.columns + j] = squares / f32(rows);
}
