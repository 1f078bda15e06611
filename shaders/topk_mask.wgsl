// Bit i of mask is set where weight i stays: its score is above the last one to prune, or equal to
// it with fewer than TIES_KEPT equal ones before it. Ties go to the lowest index, so a mask has
// exactly the asked number of bits. One invocation a word, one workgroup a chunk of 8,192 weights.

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> ties: array<u32>;
@group(0) @binding(2) var<storage, read_write> state: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> mask: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    len: u32,
}

var<workgroup> before: array<u32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let found = atomicLoad(&state[SCORE]);
    let kept_ties = atomicLoad(&state[TIES_KEPT]);
    let word = group.x * 256u + local;
    var above = 0u;
    var equal = 0u;
    var not_a_number = 0u;
    for (var n = 0u; n < 32u; n += 1u) {
        let i = word * 32u + n;
        if i < params.len {
            let s = score(weights[i]);
            above |= u32(s > found) << n;
            equal |= u32(s == found) << n;
            not_a_number += u32(s > INFINITE);
        }
    }
    // Inclusive scan of the chunk's ties over its words.
    before[local] = countOneBits(equal);
    workgroupBarrier();
    for (var reach = 1u; reach < 256u; reach *= 2u) {
        var add = 0u;
        if local >= reach {
            add = before[local - reach];
        }
        workgroupBarrier();
        before[local] += add;
        workgroupBarrier();
    }
    var rank = ties[group.x] + before[local] - countOneBits(equal);
    var bits = above;
    for (var n = 0u; n < 32u; n += 1u) {
        if bit(equal, n) {
            bits |= u32(rank < kept_ties) << n;
            rank += 1u;
        }
    }
    if word * 32u < params.len {
        mask[word] = bits;
        atomicAdd(&state[KEPT], countOneBits(bits));
        if not_a_number > 0u {
            atomicAdd(&state[NAN], not_a_number);
        }
    }
}
