// A metric of each element of x against its target: out[i] = the mean over row i, for x and targets of [batch, columns] and the
// file that has `metric_of` one element.
//
// One workgroup a row; rows of padding get 0.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<f32>;
@group(0) @binding(2) var<storage, read> step: Step;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    batch: u32,
    columns: u32,
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = row_of(group, groups);
    if row >= params.batch {
        return;
    }
    if row >= step.rows {
        if lane == 0u {
            out[row] = 0.0;
        }
        return;
    }
    let first = row * params.columns;
    var sum = 0.0;
    for (var j = lane; j < params.columns; j += 64u) {
        sum += metric_of(x[first + j], targets[first + j]);
    }
    let mean = row_sum(lane, sum) / f32(params.columns);
    if lane == 0u {
        out[row] = mean;
    }
}
