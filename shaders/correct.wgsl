// correct[i] = 1 where the label of row i has the highest logit, else 0; rows of padding get 0.
//
// The lowest index wins a tie. With one logit a row the classes are its signs.

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
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= params.batch {
        return;
    }
    let first = i * params.classes;
    var best = 0u;
    if params.classes == 1u {
        best = select(0u, 1u, logits[first] > 0.0);
    }
    for (var j = 1u; j < params.classes; j += 1u) {
        if logits[first + j] > logits[first + best] {
            best = j;
        }
    }
    correct[i] = select(0.0, 1.0, i < step.rows * params.repeat && best == labels[i]);
}
