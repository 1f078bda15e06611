// A loss of each element of x against its target: losses[i] = sum_j of the losses / (rows columns), and its gradient by x,
// for x and targets of [batch, columns] and the file that has `loss_of`: loss and slope of one element.
//
// One workgroup a row; rows of padding get 0.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> targets: array<f32>;
@group(0) @binding(2) var<storage, read> step: Step;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

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
    let first = row * params.columns;
    if row >= step.rows {
        for (var j = lane; j < params.columns; j += 64u) {
            gradient[first + j] = 0.0;
        }
        if lane == 0u {
            losses[row] = 0.0;
        }
        return;
    }
    let scale = 1.0 / (f32(step.rows) * f32(params.columns));
    var sum = 0.0;
    for (var j = lane; j < params.columns; j += 64u) {
        let one = loss_of(x[first + j], targets[first + j]);
        sum += one.x;
        gradient[first + j] = one.y * scale;
    }
    let loss = row_sum(lane, sum) * scale;
    if lane == 0u {
        losses[row] = loss;
    }
}
