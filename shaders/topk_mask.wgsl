// Bit i of mask is set where value i stays: its rank is above the range, or in it and its share of
// the range stays. Of ties the first TIES_KEPT stay; at most one chunk has some that stay and some
// that go. Those keep their bits for now, as what is listed does: topk_settle says.
//
// One workgroup a chunk of 32,768 values; one invocation makes a word, four times.

@group(0) @binding(0) var<storage, read> values4: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> protect: array<u32>;
@group(0) @binding(3) var<storage, read_write> ties: array<u32>;
@group(0) @binding(4) var<storage, read> state: array<u32>;
@group(0) @binding(5) var<storage, read_write> list: array<atomic<u32>>;
@group(0) @binding(6) var<storage, read_write> mask_state: array<atomic<u32>>;
@group(0) @binding(7) var<storage, read_write> mask: array<u32>;
@group(0) @binding(8) var<uniform> params: Params;

struct Params {
    len: u32,
    first: u32,
    chunks: u32,
}

fn pack(bits: vec4<bool>) -> u32 {
    return dot(select(vec4(0u), vec4(1u, 2u, 4u, 8u), bits), vec4(1u));
}

// Bits of the ranks that are above `high`, of half a word.
fn half_above(a: vec4<u32>, b: vec4<u32>, c: vec4<u32>, d: vec4<u32>, high: u32) -> u32 {
    let most = vec4(high);
    return pack(a > most) | (pack(b > most) << 4u) | (pack(c > most) << 8u) | (pack(d > most) << 12u);
}

// Bits of those that are `low` or above it.
fn half_from(a: vec4<u32>, b: vec4<u32>, c: vec4<u32>, d: vec4<u32>, low: u32) -> u32 {
    let least = vec4(low);
    return pack(a >= least) | (pack(b >= least) << 4u) | (pack(c >= least) << 8u)
        | (pack(d >= least) << 12u);
}

fn highest_scores(a: vec4<u32>, b: vec4<u32>, c: vec4<u32>, d: vec4<u32>) -> vec4<u32> {
    let scores = vec4(~PROTECTED);
    return max(max(a & scores, b & scores), max(c & scores, d & scores));
}

// Rare: the values of one word are read a second time.
fn count_nan(begin: u32) {
    for (var i = begin; i < min(begin + 32u, params.len); i += 1u) {
        if score(values[i]) > INFINITE {
            atomicAdd(&mask_state[NAN], 1u);
        }
    }
}

fn list_values(word: u32, inside: u32, shield: u32) {
    for (var bits = inside; bits != 0u; bits &= bits - 1u) {
        let i = word * 32u + firstTrailingBit(bits);
        let entry = atomicAdd(&list[LENGTH], 1u);
        if entry < LISTED_MOST {
            atomicStore(&list[RANKS + entry], rank(values[i], i, shield));
            atomicStore(&list[PLACES + entry], params.first + i);
        }
    }
}

// The highest rank that is pruned with the whole range.
fn note_highest(word: u32, inside: u32, shield: u32) {
    var highest = 0u;
    for (var bits = inside; bits != 0u; bits &= bits - 1u) {
        let i = word * 32u + firstTrailingBit(bits);
        highest = max(highest, rank(values[i], i, shield));
    }
    if highest > atomicLoad(&list[HIGHEST]) {
        atomicMax(&list[HIGHEST], highest);
    }
}

// The sum of the counts of the chunks before `chunk`.
fn ties_before(chunk: u32, local: u32) -> u32 {
    var own = 0u;
    for (var g = local; g < chunk; g += 256u) {
        own += ties[g];
    }
    add_up(local, vec2(own, 0u));
    return sum_of_all().x;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let mode = state[MODE];
    let low = state[LOW];
    let high = state[HIGH];
    var stay = state[LEFT] == 0u;
    var straddles = false;
    if mode == TIED {
        // Ties before this chunk, and up to its end.
        let begin = ties_before(group.x, local);
        let end = begin + ties[group.x];
        let kept_ties = ties[params.chunks + 3u];
        stay = end <= kept_ties;
        straddles = begin < kept_ties && end > kept_ties;
        if local == 0u && straddles {
            ties[params.chunks + 1u] = group.x;
            ties[params.chunks + 2u] = kept_ties - begin;
        }
        if local == 0u && group.x + 1u == params.chunks {
            ties[params.chunks] = end;
        }
    }
    var kept = 0u;
    var changed = 0u;
    for (var n = 0u; n < 4u; n += 1u) {
        let word = group.x * 1024u + n * 256u + local;
        var above = 0u;
        var inside = 0u;
        var shield = 0u;
        var most = vec4(0u);
        if PROTECT && word * 32u < params.len {
            shield = protect[word];
        }
        if word * 32u + 32u <= params.len {
            // All on their way at once.
            let at = word * 8u;
            let a = ranks(values4[at], 0u, shield);
            let b = ranks(values4[at + 1u], 4u, shield);
            let c = ranks(values4[at + 2u], 8u, shield);
            let d = ranks(values4[at + 3u], 12u, shield);
            let e = ranks(values4[at + 4u], 16u, shield);
            let f = ranks(values4[at + 5u], 20u, shield);
            let g = ranks(values4[at + 6u], 24u, shield);
            let h = ranks(values4[at + 7u], 28u, shield);
            above = half_above(a, b, c, d, high) | (half_above(e, f, g, h, high) << 16u);
            inside = half_from(a, b, c, d, low) | (half_from(e, f, g, h, low) << 16u);
            most = max(highest_scores(a, b, c, d), highest_scores(e, f, g, h));
        } else {
            for (var i = word * 32u; i < params.len; i += 1u) {
                let r = rank(values[i], i, shield);
                above |= u32(r > high) << (i & 31u);
                inside |= u32(r >= low) << (i & 31u);
                most.x = max(most.x, r & ~PROTECTED);
            }
        }
        inside &= ~above;
        var staying = select(0u, inside, stay);
        if word * 32u < params.len {
            if any(most > vec4(INFINITE)) {
                count_nan(word * 32u);
            }
            let old = mask[word];
            if mode == LISTED || straddles {
                kept += countOneBits(above);
                staying = old & inside;
                if mode == LISTED {
                    list_values(word, inside, shield);
                }
            } else {
                kept += countOneBits(above | staying);
                if mode == WHOLE && inside != 0u {
                    note_highest(word, inside, shield);
                }
            }
            let bits = above | staying;
            changed += countOneBits(bits ^ old);
            mask[word] = bits;
        }
    }
    add_up(local, vec2(kept, changed));
    if local == 0u {
        let sum = sum_of_all();
        atomicAdd(&mask_state[KEPT], sum.x);
        atomicAdd(&mask_state[CHANGED], sum.y);
    }
}
