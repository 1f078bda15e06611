// Of each row i, for logits z, the teacher's t, the label l, p_i = softmax(t_i / T) and
// q_i = softmax(z_i / T):
//   losses[i] = (share T^2 sum_j p_ij log(p_ij / q_ij)
//               + (1 - share) (log sum_j exp(z_ij) - z_il)) / rows,
// and its gradient by z_ij:
//   (share T (q_ij - p_ij) + (1 - share) (softmax(z_i)_j - [j = l])) / rows.
//
// One workgroup a row; rows of padding get 0. Shifted by the rows' maxima, so that no exp
// overflows. The gradient takes the place of the teacher's logits: an invocation reads and writes
// every 64th of a row, and nobody else's.

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> step: Step;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(4) var<storage, read_write> teacher: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
    batch: u32,
    classes: u32,
    repeat: u32, // rows of logits for each row of the batch
    temperature: f32,
    inverse: f32, // 1 / temperature
    share: f32,
}

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
            teacher[first + j] = 0.0;
        }
        if lane == 0u {
            losses[i] = 0.0;
        }
        return;
    }
    var highest = logits[first];
    var teachers_highest = teacher[first];
    for (var j = lane; j < params.classes; j += 64u) {
        highest = max(highest, logits[first + j]);
        teachers_highest = max(teachers_highest, teacher[first + j]);
    }
    highest = row_max(lane, highest);
    teachers_highest = row_max(lane, teachers_highest);
    var sum = 0.0;
    var soft_sum = 0.0;
    var teachers_sum = 0.0;
    var along = 0.0;
    for (var j = lane; j < params.classes; j += 64u) {
        let z = logits[first + j] - highest;
        let soft = z * params.inverse;
        let teachers = (teacher[first + j] - teachers_highest) * params.inverse;
        let weight = exp(teachers);
        sum += exp(z);
        soft_sum += exp(soft);
        teachers_sum += weight;
        along += weight * (teachers - soft);
    }
    sum = row_sum(lane, sum);
    soft_sum = row_sum(lane, soft_sum);
    teachers_sum = row_sum(lane, teachers_sum);
    along = row_sum(lane, along);
    let label = min(labels[i], params.classes - 1u);
    let of_teacher = params.share * params.temperature;
    let of_label = 1.0 - params.share;
    let scale = 1.0 / f32(rows);
    for (var j = lane; j < params.classes; j += 64u) {
        let z = logits[first + j] - highest;
        let q = exp(z * params.inverse) / soft_sum;
        let p = exp((teacher[first + j] - teachers_highest) * params.inverse) / teachers_sum;
        let hit = select(0.0, 1.0, j == label);
        teacher[first + j] = (of_teacher * (q - p) + of_label * (exp(z) / sum - hit)) * scale;
    }
    if lane == 0u {
        let apart = along / teachers_sum + (log(soft_sum) - log(teachers_sum));
        let missed = log(sum) - (logits[first + label] - highest);
        losses[i] = (of_teacher * params.temperature * apart + of_label * missed) * scale;
    }
}
