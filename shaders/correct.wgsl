// correct[i] = 1 where the label of row i has the highest logit, else 0; rows of padding get 0.
//
// The lowest index wins a tie. With one logit a row the classes are its signs. A NaN is higher than nothing, but for one
// at class 0, which is the highest.

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> step: Step;
@group(0) @binding(3) var<storage, read_write> correct: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    batch: u32,
    classes: u32,
    repeat: u32, // rows of logits for each row of the batch
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let i = row_here(group, groups, lane);
    let inside = i < params.batch;
    var label = 0u;
    if inside {
        label = labels[i];
    }
    let first = i * params.classes;
    let at = min(label, params.classes - 1u);
    var higher = higher_than(lane, first, at, inside);
    if !inside || (WIDE && lane > 0u) {
        return;
    }
    let own = logits[first + at];
    var best = higher == 0u && !is_nan(own);
    if params.classes == 1u {
        best = (own > 0.0) == (label == 1u);
    } else if is_nan(logits[first]) {
        best = label == 0u;
    }
    let is_class = i < step.rows * params.repeat && label < max(params.classes, 2u);
    correct[i] = select(0.0, 1.0, is_class && best);
}
