// softmax_cross_entropy and pair_sum in one launch: losses, gradient and correct as the first has them, and the sums of
// the losses and of correct over the rows as the second has them.
//
// One workgroup has all rows, of at most 64 classes. What it sums up has the order of wide_cross_entropy.wgsl, whose 64
// lanes have a class each, and of pair_sum.wgsl. So all bits are those of the two launches.

@group(0) @binding(0) var<storage, read> logits: array<f32>;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> step: Step;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;
@group(0) @binding(4) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> correct: array<f32>;
@group(0) @binding(6) var<storage, read_write> loss_sum: array<f32>;
@group(0) @binding(7) var<storage, read_write> correct_sum: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

struct Params {
    batch: u32,
    classes: u32,
    repeat: u32, // rows of logits for each row of the batch
    smoothing: f32,
}

// Six logits of each lane. Of an exponential and a shift each; then of a row's loss and whether it is right.
var<workgroup> pairs: array<vec2<f32>, 1536>;
// Highest logit, sum of exponentials, label.
var<workgroup> of_rows: array<vec4<f32>, 256>;

fn logit(i: u32) -> f32 {
    return logits[min(i, params.batch * params.classes - 1u)];
}

fn keep(i: u32, z: f32) {
    if i < params.batch * params.classes {
        pairs[i] = vec2(z, 0.0);
    }
}

// Of the row of this lane, which others do not touch: loss, and 1 where it is right.
fn row(lane: u32, rows: u32) -> vec2<f32> {
    let first = lane * params.classes;
    var highest = pairs[first].x;
    for (var j = 1u; j < params.classes; j += 1u) {
        highest = max(highest, pairs[first + j].x);
    }
    // The lowest class that has it.
    var best = params.classes;
    for (var j = 0u; j < params.classes; j += 1u) {
        let shifted = pairs[first + j].x - highest;
        pairs[first + j] = vec2(exp(shifted), shifted);
        best = select(best, min(best, j), shifted == 0.0);
    }
    let label = min(labels[lane], params.classes - 1u);
    let of_label = pairs[first + label].y;
    for (var half = 32u; half > 0u; half /= 2u) {
        let end = min(half, max(params.classes, half) - half);
        for (var j = 0u; j < end; j += 1u) {
            pairs[first + j] += pairs[first + j + half];
        }
    }
    let sums = pairs[first];
    // f32 holds numbers of classes exactly.
    of_rows[lane] = vec4(highest, sums.x, f32(label), 0.0);
    return vec2(loss_of(sums.x, sums.y, of_label, rows), select(0.0, 1.0, best == labels[lane]));
}

fn put_slope(i: u32, z: f32, rows: u32) {
    if i < params.batch * params.classes {
        let at = i / params.classes;
        var slope = 0.0;
        if at < rows {
            let of_row = of_rows[at];
            let is_label = i - at * params.classes == u32(of_row.z);
            slope = slope_of(exp(z - of_row.x), of_row.y, is_label, rows);
        }
        gradient[i] = slope;
    }
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    let rows = step.rows * params.repeat;
    // All on their way at once.
    let z0 = logit(lane);
    let z1 = logit(lane + 256u);
    let z2 = logit(lane + 512u);
    let z3 = logit(lane + 768u);
    let z4 = logit(lane + 1024u);
    let z5 = logit(lane + 1280u);
    keep(lane, z0);
    keep(lane + 256u, z1);
    keep(lane + 512u, z2);
    keep(lane + 768u, z3);
    keep(lane + 1024u, z4);
    keep(lane + 1280u, z5);
    workgroupBarrier();
    var mine = vec2<f32>();
    if lane < min(params.batch, rows) {
        mine = row(lane, rows);
    }
    workgroupBarrier();
    if lane < params.batch {
        losses[lane] = mine.x;
        correct[lane] = mine.y;
    }
    put_slope(lane, z0, rows);
    put_slope(lane + 256u, z1, rows);
    put_slope(lane + 512u, z2, rows);
    put_slope(lane + 768u, z3, rows);
    put_slope(lane + 1024u, z4, rows);
    put_slope(lane + 1280u, z5, rows);
    pairs[lane] = mine;
    workgroupBarrier();
    var sum = vec2<f32>();
    if lane < 16u {
        for (var i = lane; i < params.batch; i += 16u) {
            sum += pairs[i];
        }
    }
    workgroupBarrier();
    if lane < 16u {
        pairs[lane] = sum;
    }
    workgroupBarrier();
    for (var half = 8u; half > 0u; half /= 2u) {
        if lane < half {
            pairs[lane] += pairs[lane + half];
        }
        workgroupBarrier();
    }
    if lane == 0u {
        loss_sum[0] = pairs[0].x;
        correct_sum[0] = pairs[0].y;
    }
}
