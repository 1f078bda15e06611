// histogram[b] += number of values whose rank is in bin b of the range; nothing where the range is
// narrow enough. The first launch of a round behind another one picks the range from what that one
// has counted.
//
// A workgroup takes a chunk of 32,768 values, or every so manyth. What is below the range is counted
// in registers, and so is what is LOW, which many equal values may be; the others in the range are
// few, or spread over many bins. Integer atomics commute, so the counts do not depend on scheduling.
// Histograms are zero before a selection; topk_settle clears them.

@group(0) @binding(0) var<storage, read> values4: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> protect: array<u32>;
@group(0) @binding(3) var<storage, read_write> state: array<u32>;
@group(0) @binding(4) var<storage, read_write> histogram: array<atomic<u32>>;
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
    len: u32,
    workgroups: u32,
    state: u32, // where the state of the round begins
    bins: u32, // where its histogram does
}

override PICKS: bool = false; // the state comes from the round before

// Counts a value in the bins, and nothing else.
fn count(r: u32, next: u32, shift: u32) {
    let bin = select(BETWEEN, FIRST + ((r - next) >> shift), r >= next);
    atomicAdd(&histogram[params.bins + bin], 1u);
}

// Counts those of four values that are in the range, LOW left out, where they are there.
fn count_four(r: vec4<u32>, there: bool, low: u32, next: u32, high: u32) {
    let shift = bin_shift(high - next);
    let inside = (r - vec4(low) - vec4(1u) < vec4(high - low)) & vec4(there);
    if inside.x {
        count(r.x, next, shift);
    }
    if inside.y {
        count(r.y, next, shift);
    }
    if inside.z {
        count(r.z, next, shift);
    }
    if inside.w {
        count(r.w, next, shift);
    }
}

// One for each that holds, where they are there.
fn ones(holds: vec4<bool>, there: bool) -> vec4<u32> {
    return select(vec4(0u), vec4(1u), holds & vec4(there));
}

// Ranks of the four values from `i` on, or of the last four.
fn four(i: u32) -> vec4<u32> {
    let first = min(i, (params.len & ~3u) - 4u);
    var word = 0u;
    if PROTECT {
        word = protect[first / 32u];
    }
    return ranks(values4[first / 4u], first, word);
}

// A word of the round's state.
fn now(word: u32) -> u32 {
    var value = 0u;
    if PICKS {
        value = found[word];
    } else {
        value = state[params.state + word];
    }
    return value;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    if PICKS {
        pick(group.x, local, params.state + STATE, params.bins + ROUND, params.state);
    }
    let is_open = now(MODE) == OPEN;
    let low = now(LOW);
    let next = now(NEXT);
    let high = now(HIGH);
    var below = vec4(0u);
    var at = vec4(0u);
    // Of fewer than four values none are read four by four.
    let turns = select(8u, 0u, params.len < 4u);
    let chunks = select(0u, params.len / 32768u + u32(params.len % 32768u > 0u), is_open);
    for (var chunk = group.x; chunk < chunks; chunk += params.workgroups) {
        for (var n = 0u; n < turns; n += 1u) {
            let i = (chunk * 8192u + n * 1024u + local) * 4u;
            let there = vec4(i) + vec4(4u, 1028u, 2052u, 3076u) <= vec4(params.len);
            // All on their way at once.
            let a = four(i);
            let b = four(i + 1024u);
            let c = four(i + 2048u);
            let d = four(i + 3072u);
            let lows = vec4(low);
            below += ones(a < lows, there.x) + ones(b < lows, there.y);
            below += ones(c < lows, there.z) + ones(d < lows, there.w);
            at += ones(a == lows, there.x) + ones(b == lows, there.y);
            at += ones(c == lows, there.z) + ones(d == lows, there.w);
            count_four(a, there.x, low, next, high);
            count_four(b, there.y, low, next, high);
            count_four(c, there.z, low, next, high);
            count_four(d, there.w, low, next, high);
        }
        // Up to three values are left at the end.
        let i = (params.len & ~3u) + local;
        if (i < params.len) & (i / 32768u == chunk) {
            var word = 0u;
            if PROTECT {
                word = protect[i / 32u];
            }
            let r = rank(values[i], i, word);
            below.x += u32(r < low);
            at.x += u32(r == low);
            if r - low - 1u < high - low {
                count(r, next, bin_shift(high - next));
            }
        }
    }
    add_up(local, vec2(dot(below, vec4(1u)), dot(at, vec4(1u))));
    if (local == 0u) & is_open {
        let sum = sum_of_all();
        atomicAdd(&histogram[params.bins + BELOW], sum.x);
        atomicAdd(&histogram[params.bins + AT], sum.y);
    }
}
