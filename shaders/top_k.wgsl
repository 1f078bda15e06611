// right[i] = 1 where the label of row i is among its k highest logits, else 0; rows of padding get 0.
//
// Of equal logits the lowest index is higher. With one logit a row the classes are its signs. A label whose logit is NaN, or that
// is no class, is never right; other NaN are higher than nothing, but for one at class 0, which `correct` takes as the highest.

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> step: Step;
@group(0) @binding(3) var<storage, read_write> right: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    batch: u32,
    classes: u32,
    repeat: u32, // rows of logits for each row of the batch
    k: u32,
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= params.batch {
        return;
    }
    let label = labels[i];
    if i >= step.rows * params.repeat || label >= max(params.classes, 2u) {
        right[i] = 0.0;
        return;
    }
    let first = i * params.classes;
    let at = min(label, params.classes - 1u);
    let own = logits[first + at];
    var higher = 0u;
    if params.classes == 1u {
        higher = select(0u, 1u, (own > 0.0) != (label == 1u));
    } else if label > 0u && is_nan(logits[first]) {
        higher = 1u;
    }
    for (var j = 0u; j < params.classes; j += 1u) {
        let z = logits[first + j];
        if z > own || (z == own && j < at) {
            higher += 1u;
        }
    }
    right[i] = select(0.0, 1.0, higher < params.k && !is_nan(own));
}
