// Sets or clears what topk_mask left open: the bits of the listed values that are in this tensor, and
// those of the ties in a chunk of which some stay, by the first workgroup. Notes the threshold.

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> protect: array<u32>;
@group(0) @binding(2) var<storage, read> ties: array<u32>;
@group(0) @binding(3) var<storage, read> list: array<u32>;
@group(0) @binding(4) var<storage, read> state: array<u32>;
@group(0) @binding(5) var<storage, read_write> mask_state: array<atomic<u32>>;
@group(0) @binding(6) var<storage, read_write> mask: array<atomic<u32>>;
@group(0) @binding(7) var<uniform> params: Params;

struct Params {
    len: u32,
    first: u32,
    chunks: u32,
}

override SCORES: bool = true;

var<workgroup> before: array<u32, 256>;

// Bits `open` of a word become `staying`.
fn settle(word: u32, open: u32, staying: u32) {
    let old = atomicAnd(&mask[word], ~(open & ~staying));
    atomicOr(&mask[word], staying);
    atomicAdd(&mask_state[KEPT], countOneBits(staying));
    atomicAdd(&mask_state[CHANGED], countOneBits((old & open) ^ staying));
}

// Bits of the values in a word that are ties.
fn equal(word: u32) -> u32 {
    var bits = 0u;
    if word * 32u < params.len {
        var shield = 0u;
        if PROTECT {
            shield = protect[word];
        }
        for (var i = word * 32u; i < min(word * 32u + 32u, params.len); i += 1u) {
            bits |= u32(rank(values[i], i, shield) == state[LOW]) << (i & 31u);
        }
    }
    return bits;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let mode = state[MODE];
    let e = group.x * 256u + local;
    if mode == LISTED && e < min(state[COUNT], LISTED_MOST) {
        let i = list[PLACES + e] - params.first;
        // Places of an earlier tensor wrap around to above `len`.
        if i < params.len {
            settle(i / 32u, 1u << (i & 31u), list[STAYS + e] << (i & 31u));
        }
    }
    // Weights that are zero already need no threshold: the one that made them zero stays.
    let threshold = state[SCORE] & ~PROTECTED;
    if SCORES && e == 0u && threshold != 0u {
        atomicStore(&mask_state[THRESHOLD], threshold);
    }
    if mode != TIED || group.x > 0u {
        return;
    }
    let chunk = ties[params.chunks + 1u];
    let stay = ties[params.chunks + 2u];
    if chunk >= params.chunks {
        return;
    }
    // Four words of the chunk's 1,024 each, numbered by an inclusive scan.
    let first = chunk * 1024u + local * 4u;
    var own = 0u;
    for (var n = 0u; n < 4u; n += 1u) {
        own += countOneBits(equal(first + n));
    }
    before[local] = own;
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
    var number = before[local] - own;
    for (var n = 0u; n < 4u; n += 1u) {
        let open = equal(first + n);
        var staying = 0u;
        for (var bits = open; bits != 0u; bits &= bits - 1u) {
            if number < stay {
                staying |= bits & (~bits + 1u);
            }
            number += 1u;
        }
        if open != 0u {
            settle(first + n, open, staying);
        }
    }
}
