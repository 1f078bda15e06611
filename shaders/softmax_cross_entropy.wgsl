// losses[i] = (log sum_j exp(z_ij) - sum_j q_ij z_ij) / rows, gradient[i, j] = (softmax(z_i)_j - q_ij) / rows, for the
// target q_ij = (1 - smoothing) [j = label] + smoothing / classes; correct[i] = 1 where the label has the highest logit,
// else 0.
//
// One invocation a row; rows of padding get 0. Shifted by the row's maximum, so that no exp overflows. The lowest index wins
// a tie for the highest.

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> step: Step;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> correct: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

struct Params {
    batch: u32,
    classes: u32,
    repeat: u32, // rows of logits for each row of the batch
    smoothing: f32,
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
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
    let scale = 1.0 / f32(rows);
    let label = min(labels[i], params.classes - 1u);
    let spread = params.smoothing / f32(params.classes);
    let hit = 1.0 - params.smoothing;
    losses[i] = (log(sum) - hit * (logits[first + label] - highest) - spread * shifts) * scale;
    for (var j = 0u; j < params.classes; j += 1u) {
        let p = exp(logits[first + j] - highest) / sum;
        gradient[first + j] = (p - select(0.0, hit, j == label) - spread) * scale;
    }
}
