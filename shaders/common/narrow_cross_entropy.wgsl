// A row of logits for each invocation: few classes.
@compute @workgroup_size(64)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = id.y * groups.x * 64u + id.x;
    if i >= params.batch {
        return;
    }
    let first = i * params.classes;
    let rows = step.rows * params.repeat;
    if i >= rows {
        losses[i] = 0.0;
        correct[i] = 0.0;
        for (var j = 0u; j < params.classes; j += 1u) {
            gradient[first + j] = 0.0;
        }
        return;
    }
    var highest = logits[first];
    var best = 0u;
    for (var j = 1u; j < params.classes; j += 1u) {
        let z = logits[first + j];
        if z > highest {
            highest = z;
            best = j;
        }
    }
    correct[i] = select(0.0, 1.0, best == labels[i]);
    var sum = 0.0;
    var shifts = 0.0;
    for (var j = 0u; j < params.classes; j += 1u) {
        // In this order: the logits may be large, their differences are not.
        let shifted = logits[first + j] - highest;
        sum += exp(shifted);
        shifts += shifted;
    }
    let label = min(labels[i], params.classes - 1u);
    losses[i] = loss_of(sum, shifts, logits[first + label] - highest, rows);
    for (var j = 0u; j < params.classes; j += 1u) {
        gradient[first + j] = slope_of(exp(logits[first + j] - highest), sum, j == label, rows);
    }
}
