// Finds the next digit of the score of the last weight to prune, and clears the histogram.
//
// One workgroup: 256 partial sums of 8 bins each, then one invocation walks them. The digit is the
// lowest whose cumulative count reaches the number still to prune.

@group(0) @binding(0) var<storage, read> counts: array<u32>;
@group(0) @binding(1) var<storage, read_write> histogram: array<u32>;
@group(0) @binding(2) var<storage, read_write> state: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    selection: u32,
}

override DIGIT: u32 = 0u;

var<workgroup> sums: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
    var sum = 0u;
    for (var d = 0u; d < 8u; d += 1u) {
        sum += histogram[local * 8u + d];
    }
    sums[local] = sum;
    workgroupBarrier();
    if local == 0u {
        var prune = state[PRUNE];
        var found = state[SCORE];
        if DIGIT == 0u {
            prune = counts[params.selection];
            found = 0u;
        }
        var below = 0u;
        var part = 0u;
        while part < 255u && below + sums[part] < prune {
            below += sums[part];
            part += 1u;
        }
        var digit = part * 8u;
        while digit < part * 8u + 7u && below + histogram[digit] < prune {
            below += histogram[digit];
            digit += 1u;
        }
        let left = prune - min(below, prune);
        state[PRUNE] = left;
        state[SCORE] = found | digit << select(select(0u, 10u, DIGIT == 1u), 21u, DIGIT == 0u);
        if DIGIT == 2u {
            state[TIES_KEPT] = histogram[digit] - min(left, histogram[digit]);
            state[TIES] = 0u;
        }
    }
    // The walk above reads bins that the others clear below.
    storageBarrier();
    for (var d = 0u; d < 8u; d += 1u) {
        histogram[local * 8u + d] = 0u;
    }
}
