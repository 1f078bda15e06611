// Bit i of mask is set where value i stays: its rank is above the last one to prune, or equal to it
// with fewer than TIES_KEPT equal ones before it. Ties go to the lowest index, so the masks of a
// selection have exactly the asked number of bits. One invocation a word, one workgroup a chunk of
// 8,192 values.

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> protect: array<u32>;
@group(0) @binding(2) var<storage, read> ties: array<u32>;
@group(0) @binding(3) var<storage, read> state: array<u32>;
@group(0) @binding(4) var<storage, read_write> mask_state: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read_write> mask: array<u32>;
@group(0) @binding(6) var<uniform> params: Params;

struct Params {
    len: u32,
}

override SCORES: bool = true;

var<workgroup> before: array<u32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let found = state[SCORE];
    let kept_ties = state[TIES_KEPT];
    let word = group.x * 256u + local;
    var above = 0u;
    var equal = 0u;
    var not_a_number = 0u;
    var shield = 0u;
    if PROTECT && word * 32u < params.len {
        shield = protect[word];
    }
    for (var n = 0u; n < 32u; n += 1u) {
        let i = word * 32u + n;
        if i < params.len {
            let r = rank(values[i], n, shield);
            above |= u32(r > found) << n;
            equal |= u32(r == found) << n;
            not_a_number += u32((r & ~PROTECTED) > INFINITE);
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
    var number = ties[group.x] + before[local] - countOneBits(equal);
    var bits = above;
    for (var n = 0u; n < 32u; n += 1u) {
        if bit(equal, n) {
            bits |= u32(number < kept_ties) << n;
            number += 1u;
        }
    }
    if word * 32u < params.len {
        atomicAdd(&mask_state[CHANGED], countOneBits(bits ^ mask[word]));
        mask[word] = bits;
        atomicAdd(&mask_state[KEPT], countOneBits(bits));
        if not_a_number > 0u {
            atomicAdd(&mask_state[NAN], not_a_number);
        }
    }
    // Weights that are zero already need no threshold: the one that made them zero stays.
    let threshold = found & ~PROTECTED;
    if SCORES && word == 0u && threshold != 0u {
        atomicStore(&mask_state[THRESHOLD], threshold);
    }
}
