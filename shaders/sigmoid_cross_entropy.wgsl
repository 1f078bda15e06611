// losses[i] = sum_j (max(z_ij, 0) - z_ij t_ij + log(1 + exp(-|z_ij|))) / (rows columns),
// gradient[i, j] = (sigmoid(z_ij) - t_ij) / (rows columns), for the logits z and targets t, both [batch, columns].
//
// One workgroup a row; rows of padding get 0. No exp is of a positive number, so that none overflows, and
// max(z, 0) - z t is |z| (1 - t) or |z| t, so that large logits do not cancel.

@group(0) @binding(0) var<storage, read> logits: array<f32>;
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
        let z = logits[first + j];
        let t = targets[first + j];
        let e = exp(-abs(z));
        sum += abs(z) * select(t, 1.0 - t, z > 0.0) + log(1.0 + e);
        let p = select(e, 1.0, z > 0.0) / (1.0 + e);
        gradient[first + j] = (p - t) * scale;
    }
    let loss = row_sum(lane, sum) * scale;
    if lane == 0u {
        losses[row] = loss;
    }
}
