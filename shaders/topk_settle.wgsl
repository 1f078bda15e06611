// Sets or clears what topk_mask left open: the bits of the listed values that are in this tensor, and
// those of the ties in a chunk of which some stay, by the first workgroup. Notes the threshold, and
// clears the histograms of the selection.
//
// Of the listed values LEFT go: those of lowest rank, and of equal ones those of highest index. So
// every workgroup seeks the rank of the last one, and where some of that rank stay its place; then
// each invocation knows of one listed value what becomes of it.

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> protect: array<u32>;
@group(0) @binding(2) var<storage, read> ties: array<u32>;
@group(0) @binding(3) var<storage, read> list: array<u32>;
@group(0) @binding(4) var<storage, read> state: array<u32>;
@group(0) @binding(5) var<storage, read_write> histogram: array<u32>;
@group(0) @binding(6) var<storage, read_write> mask_state: array<atomic<u32>>;
@group(0) @binding(7) var<storage, read_write> mask: array<atomic<u32>>;
@group(0) @binding(8) var<uniform> params: Params;

struct Params {
    len: u32,
    first: u32,
    chunks: u32,
    counts: u32, // words of the histograms to clear
}

override SCORES: bool = true;

// Bits `open` of a word become `staying`: how many are set, and how many have changed.
fn settle(word: u32, open: u32, staying: u32) -> vec2<u32> {
    let old = atomicAnd(&mask[word], ~(open & ~staying));
    atomicOr(&mask[word], staying);
    return vec2(countOneBits(staying), countOneBits((old & open) ^ staying));
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

// Four words of the list from place `e` of the part that begins at `part` on, all on their way at
// once.
fn four(part: u32, e: u32, count: u32) -> vec4<u32> {
    let at = vec4(part) + min(vec4(e) + vec4(0u, 256u, 512u, 768u), vec4(count - 1u));
    return vec4(list[at.x], list[at.y], list[at.z], list[at.w]);
}

// Which of these there are.
fn there(e: u32, count: u32) -> vec4<bool> {
    return vec4(e) + vec4(0u, 256u, 512u, 768u) < vec4(count);
}

// Counts the listed values in the range that is sought in: by rank, or those of rank `tie` by their
// place, the highest first.
fn count_listed(local: u32, count: u32, by_place: bool, tie: u32) {
    for (var e = local; e < count; e += 2048u) {
        var a = four(RANKS, e, count);
        var b = four(RANKS, e + 1024u, count);
        var counts_a = there(e, count);
        var counts_b = there(e + 1024u, count);
        if by_place {
            counts_a = counts_a & (a == vec4(tie));
            counts_b = counts_b & (b == vec4(tie));
            a = ~four(PLACES, e, count);
            b = ~four(PLACES, e + 1024u, count);
        }
        count_keys(a, counts_a);
        count_keys(b, counts_b);
    }
}

fn count_keys(key: vec4<u32>, counts: vec4<bool>) {
    let reach = most[0] - least[0];
    let from_low = key - vec4(least[0]);
    count_bins(from_low >> vec4(width_shift(reach)), counts & (from_low <= vec4(reach)));
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let e = group.x * 256u + local;
    for (var i = e; i < params.counts; i += LISTED_MOST) {
        histogram[i] = 0u;
    }
    let mode = state[MODE];
    let left = state[LEFT];
    let count = select(0u, min(state[COUNT], LISTED_MOST), mode == LISTED);
    if group.x > 0u && group.x * 256u >= count {
        return;
    }
    var settled = vec2(0u);
    // The rank of the last value to prune; 0 where there is none.
    var last = 0u;
    if mode == LISTED {
        let low = state[LOW];
        let high = state[HIGH];
        seek(local, low, high, vec2(left, 0u), count);
        for (var n = turns(high - low); n > 0u; n -= 1u) {
            count_listed(local, count, false, 0u);
            narrow(local);
        }
        last = least[0];
        // Of that rank so many go: those at the highest places.
        let go = workgroupUniformLoad(&upto[0]);
        let tied = workgroupUniformLoad(&inside[0]);
        var lowest = 0u;
        if go < tied {
            seek(local, 0u, 0xffffffffu, vec2(go, 0u), tied);
            for (var n = 0u; n < 4u; n += 1u) {
                count_listed(local, count, true, last);
                narrow(local);
            }
            lowest = ~least[0];
        }
        if e < count {
            let own = list[RANKS + e];
            let at = list[PLACES + e];
            let goes = own < last || (own == last && at >= lowest);
            // Places of an earlier tensor wrap around to above `len`.
            let i = at - params.first;
            if i < params.len {
                settled = settle(i / 32u, 1u << (i & 31u), u32(!goes) << (i & 31u));
            }
        }
    } else if mode == WHOLE {
        last = select(list[HIGHEST], 0u, left == 0u);
    } else if mode == TIED {
        last = state[LOW];
        let chunk = ties[params.chunks + 1u];
        let stay = ties[params.chunks + 2u];
        if chunk < params.chunks {
            // Four words of the chunk's 1,024 each, numbered in their order.
            let first = chunk * 1024u + place(local) * 4u;
            var own = 0u;
            for (var n = 0u; n < 4u; n += 1u) {
                own += countOneBits(equal(first + n));
            }
            add_up(local, vec2(own, 0u));
            var number = sum_before(local).x;
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
                    settled += settle(first + n, open, staying);
                }
            }
            workgroupBarrier();
        }
    }
    // Weights that are zero already need no threshold: the one that made them zero stays.
    let threshold = last & ~PROTECTED;
    if SCORES && e == 0u && threshold != 0u {
        atomicStore(&mask_state[THRESHOLD], threshold);
    }
    add_up(local, settled);
    if local == 0u {
        let sum = sum_of_all();
        atomicAdd(&mask_state[KEPT], sum.x);
        atomicAdd(&mask_state[CHANGED], sum.y);
    }
}
