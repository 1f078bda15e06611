// Begins a selection: the range that the rank of the last value to prune lies in, by a sample. It is
// one value of each of `count` stretches of a tensor, at a place that a hash chooses in it. Samples
// of the earlier tensors of a selection wait where values are listed later; the launch for the last
// one reads them.
//
// The rank of the last value among S sampled ones is p S, give or take sqrt(S p (1 - p)), where p is
// the share to prune. The range is three times that to either side: LOW is the highest sampled rank
// with at most `first` below it, NEXT the one after it, HIGH the lowest with more than `last` below
// it. Where the guess is wrong, the launch behind the first round finds out. A sample of all values
// is no guess: the range is the rank of the last value to prune.
//
// One workgroup: each invocation has eight of 2,048 ranks at most.

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> protect: array<u32>;
@group(0) @binding(2) var<storage, read> counts: array<u32>;
@group(0) @binding(3) var<storage, read_write> state: array<u32>;
@group(0) @binding(4) var<storage, read_write> list: array<u32>;
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
    first: u32, // ranks of earlier tensors
    count: u32, // ranks of this one
    stretch: u32,
    rest: u32,
    samples: u32,
    total: u32,
    selection: u32,
    state: u32, // where the state is that it comes to
}

var<workgroup> lowest: array<atomic<u32>, 2>;
var<workgroup> highest: atomic<u32>;

// Rank `s` of the sample, which is of this tensor or waits in the list.
fn sampled(s: u32) -> u32 {
    let own = min(max(s, params.first) - params.first, params.count - 1u);
    let begin = own * params.stretch + own * params.rest / params.count;
    let i = begin + random_bits(0u, params.first + own) % params.stretch;
    var word = 0u;
    if PROTECT {
        word = protect[i / 32u];
    }
    var r = rank(values[i], i, word);
    if params.first > 0u {
        r = select(r, list[RANKS + min(s, params.first - 1u)], s < params.first);
    }
    return r;
}

// Ranks of the sample from `s` on, all on their way at once; what is behind the last is made up.
fn four(s: u32) -> vec4<u32> {
    return vec4(sampled(s), sampled(s + 256u), sampled(s + 512u), sampled(s + 768u));
}

// Which of them there are.
fn there(s: u32) -> vec4<bool> {
    return vec4(s) + vec4(0u, 256u, 512u, 768u) < vec4(params.samples);
}

fn write_four(s: u32, r: vec4<u32>) {
    write_one(s, r.x);
    write_one(s + 256u, r.y);
    write_one(s + 512u, r.z);
    write_one(s + 768u, r.w);
}

fn write_one(s: u32, r: u32) {
    if s < params.count {
        list[RANKS + params.first + s] = r;
    }
}

fn count(r: vec4<u32>, s: u32) {
    let reach = vec2(most[0] - least[0], most[1] - least[1]);
    let is = there(s);
    if reach.x > 0u {
        count_in(0u, r - vec4(least[0]), is, reach.x);
    }
    if reach.y > 0u {
        count_in(256u, r - vec4(least[1]), is, reach.y);
    }
}

fn count_in(first: u32, from_low: vec4<u32>, is: vec4<bool>, reach: u32) {
    count_bins(vec4(first) + (from_low >> vec4(width_shift(reach))), is & (from_low <= vec4(reach)));
}

// The lowest of eight ranks that is there and above `low`.
fn above(low: u32, r: vec4<u32>, t: vec4<u32>, local: u32) -> u32 {
    let none = vec4(0xffffffffu);
    let counts = select(none, r, there(local) & (r > vec4(low)));
    let others = select(none, t, there(local + 1024u) & (t > vec4(low)));
    return least_of(min(counts, others));
}

fn least_of(r: vec4<u32>) -> u32 {
    return min(min(r.x, r.y), min(r.z, r.w));
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
    let is_last = params.first + params.count == params.samples;
    if !is_last {
        let r = four(params.first + local);
        let t = four(params.first + local + 1024u);
        write_four(local, r);
        write_four(local + 1024u, t);
        return;
    }
    let prune = counts[params.selection];
    let r = four(local);
    let t = four(local + 1024u);
    if local == 0u {
        atomicStore(&lowest[0], 0xffffffffu);
        atomicStore(&lowest[1], 0xffffffffu);
        atomicStore(&highest, 0u);
        list[LENGTH] = 0u;
        list[HIGHEST] = 0u;
    }
    workgroupBarrier();
    let none = vec4(0xffffffffu);
    let bottoms = min(select(none, r, there(local)), select(none, t, there(local + 1024u)));
    atomicMin(&lowest[0], least_of(bottoms));
    let tops = max(select(vec4(0u), r, there(local)), select(vec4(0u), t, there(local + 1024u)));
    atomicMax(&highest, max(max(tops.x, tops.y), max(tops.z, tops.w)));
    workgroupBarrier();
    let bottom = atomicLoad(&lowest[0]);
    let top = atomicLoad(&highest);

    let samples = f32(params.samples);
    let share = min(f32(prune) / f32(params.total), 1.0);
    let margin = 3.0 * sqrt(samples * share * (1.0 - share)) + 2.0;
    let first = samples * share - margin;
    let last = samples * share + margin;
    var places = vec2(select(0u, u32(max(first, 0.0)) + 1u, first >= 0.0), u32(last) + 1u);
    let is_all = params.samples == params.total;
    if is_all {
        places = vec2(prune, 0u);
    }
    seek(local, bottom, top, places, params.samples);
    // A float says a place among 2,048; the rest is exact.
    for (var n = 0u; n < 4u; n += 1u) {
        count(r, local);
        count(t, local + 1024u);
        narrow(local);
    }
    if is_all {
        if local == 0u {
            if prune == 0u {
                all_alike(0u, 0u);
            } else {
                within(least[0], most[0], prune, inside[0], prune - upto[0]);
            }
        }
    } else {
        let low = select(least[0], 0u, places.x == 0u);
        if local < 2u {
            atomicStore(&lowest[local], 0xffffffffu);
        }
        workgroupBarrier();
        atomicMin(&lowest[0], above(low, r, t, local));
        if places.y <= params.samples {
            atomicMin(&lowest[1], above(least[1], r, t, local));
        }
        workgroupBarrier();
        if local == 0u {
            open(low, atomicLoad(&lowest[1]), prune);
            found[NEXT] = atomicLoad(&lowest[0]);
        }
    }
    workgroupBarrier();
    if local < STATE {
        state[params.state + local] = found[local];
    }
}
