// losses[i] = sum_j (p_ij - t_ij)^2 / (rows columns), gradient[i, j] = 2 (p_ij - t_ij) / (rows columns), for the
// predictions p and targets t, both [batch, columns].
//
// One workgroup a row; rows of padding get 0.

@group(0) @binding(0) var<storage, read> predictions: array<f32>;
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
    var squares = 0.0;
    for (var j = lane; j < params.columns; j += 64u) {
        let d = predictions[first + j] - targets[first + j];
        squares += d * d;
        gradient[first + j] = 2.0 * d * scale;
    }
    let loss = row_sum(lane, squares) * scale;
    if lane == 0u {
        losses[row] = loss;
    }
}
