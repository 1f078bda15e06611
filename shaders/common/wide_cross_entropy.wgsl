// A row of logits for each workgroup of 64: many classes.
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = row_of(group, groups);
    if i >= params.batch {
        return;
    }
    let first = i * params.classes;
    let rows = step.rows * params.repeat;
    if i >= rows {
        for (var j = lane; j < params.classes; j += 64u) {
            gradient[first + j] = 0.0;
        }
        if lane == 0u {
            losses[i] = 0.0;
            correct[i] = 0.0;
        }
        return;
    }
    var highest = logits[first];
    for (var j = lane; j < params.classes; j += 64u) {
        highest = max(highest, logits[first + j]);
    }
    highest = row_max(lane, highest);
    // The lowest class that has it; f32 holds numbers of classes exactly.
    var best = f32(params.classes);
    var sum = 0.0;
    var shifts = 0.0;
    for (var j = lane; j < params.classes; j += 64u) {
        let shifted = logits[first + j] - highest;
        sum += exp(shifted);
        shifts += shifted;
        best = select(best, min(best, f32(j)), shifted == 0.0);
    }
    sum = row_sum(lane, sum);
    shifts = row_sum(lane, shifts);
    best = -row_max(lane, -best);
    let label = min(labels[i], params.classes - 1u);
    for (var j = lane; j < params.classes; j += 64u) {
        gradient[first + j] = slope_of(exp(logits[first + j] - highest), sum, j == label, rows);
    }
    if lane == 0u {
        losses[i] = loss_of(sum, shifts, logits[first + label] - highest, rows);
        correct[i] = select(0.0, 1.0, u32(best) == labels[i]);
    }
}
