// partials[g] = (sum of the scores, how many are above the threshold), over chunk g of 8,192 scores.
// The sum is an f32 by its bits.
//
// Each invocation takes every 256th score of the chunk in order, then a fixed tree adds the 256 pairs.

@group(0) @binding(0) var<storage, read> scores: array<f32>;
@group(0) @binding(1) var<storage, read> threshold: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    len: u32,
}

var<workgroup> sums: array<f32, 256>;
var<workgroup> counts: array<u32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    var sum = 0.0;
    var count = 0u;
    for (var n = 0u; n < 32u; n += 1u) {
        let i = group.x * 8192u + n * 256u + local;
        if i < params.len {
            sum += scores[i];
            count += select(0u, 1u, scores[i] > threshold[0]);
        }
    }
    sums[local] = sum;
    counts[local] = count;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if local < half {
            sums[local] += sums[local + half];
            counts[local] += counts[local + half];
        }
        workgroupBarrier();
    }
    if local == 0u {
        partials[2u * group.x] = bitcast<u32>(sums[0]);
        partials[2u * group.x + 1u] = counts[0];
    }
}
