// Narrows the range to the bin that the last value to prune is in, says how the selection goes on,
// and clears the histogram. Where that value is outside of the range, the range becomes all that is
// on its side.
//
// One workgroup: 256 partial sums of 8 bins each, then one invocation walks them.

@group(0) @binding(0) var<storage, read_write> histogram: array<u32>;
@group(0) @binding(1) var<storage, read_write> state: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    most: u32,
}

var<workgroup> sums: array<u32, 256>;

fn open(low: u32, high: u32) {
    state[LOW] = low;
    state[NEXT] = low;
    state[HIGH] = high;
}

// All values are pruned, or none.
fn all(left: u32) {
    open(0u, 0xffffffffu);
    state[LEFT] = left;
    state[MODE] = WHOLE;
}

// The last value to prune is among the `count` in the range, behind `before` others.
fn found(low: u32, high: u32, count: u32, before: u32) {
    let left = state[PRUNE] - before;
    open(low, high);
    state[LEFT] = left;
    state[COUNT] = count;
    if left == count {
        state[MODE] = WHOLE;
    } else if count <= params.most {
        state[MODE] = LISTED;
    } else if low == high {
        state[MODE] = TIED;
        state[TIES_KEPT] = count - left;
    }
}

fn pick() {
    let prune = state[PRUNE];
    let low = state[LOW];
    let next = state[NEXT];
    let high = state[HIGH];
    var before = histogram[BELOW];
    if prune == 0u {
        all(0u);
        return;
    }
    if prune <= before {
        open(0u, low - 1u);
        return;
    }
    if prune <= before + histogram[AT] {
        found(low, low, histogram[AT], before);
        return;
    }
    before += histogram[AT];
    if prune <= before + histogram[BETWEEN] {
        found(low + 1u, next - 1u, histogram[BETWEEN], before);
        return;
    }
    before += histogram[BETWEEN];
    var part = 0u;
    while part < 256u && before + sums[part] < prune {
        before += sums[part];
        part += 1u;
    }
    if part == 256u {
        if high == 0xffffffffu {
            all(1u);
        } else {
            open(high + 1u, 0xffffffffu);
        }
        return;
    }
    var bin = part * 8u;
    while bin < part * 8u + 7u && before + histogram[FIRST + bin] < prune {
        before += histogram[FIRST + bin];
        bin += 1u;
    }
    let shift = bin_shift(high - next);
    let first = next + (bin << shift);
    let last = first + min((1u << shift) - 1u, high - first);
    found(max(first, low + 1u), last, histogram[FIRST + bin], before);
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
    // Where the range was narrow enough already nothing has been counted.
    let is_open = state[MODE] == OPEN;
    let bin = FIRST + local * 8u;
    if is_open {
        // All on their way at once.
        sums[local] = histogram[bin] + histogram[bin + 1u] + histogram[bin + 2u] + histogram[bin + 3u]
            + histogram[bin + 4u] + histogram[bin + 5u] + histogram[bin + 6u] + histogram[bin + 7u];
    }
    workgroupBarrier();
    if local == 0u && is_open {
        pick();
    }
    // The walk above reads bins that the others clear below.
    storageBarrier();
    if is_open {
        for (var n = 0u; n < 8u; n += 1u) {
            histogram[bin + n] = 0u;
        }
        if local < FIRST {
            histogram[local] = 0u;
        }
    }
}
