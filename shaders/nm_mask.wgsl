// In each unit, of every m inputs the n values that score highest stay; of equal ones the first. Of
// a shorter last group as large a share stays, rounded up. One invocation a word: it ranks each of
// its 32 values in the group of that value.

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> counts: array<u32>;
@group(0) @binding(2) var<storage, read_write> mask_state: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> mask: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    inputs: u32,
    units: u32,
    m: u32,
    selection: u32,
}

// The highest score that each invocation prunes.
var<workgroup> pruned: array<u32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let len = params.inputs * params.units;
    let word = flat_index(id, groups);
    var bits = 0u;
    var changed = 0u;
    var highest = 0u;
    if word * 32u < len {
        let n = counts[params.selection];
        var not_a_number = 0u;
        for (var b = 0u; b < 32u; b += 1u) {
            let i = word * 32u + b;
            if i >= len {
                break;
            }
            let own = score(values[i]);
            let input = input_of(i);
            let unit = unit_of(i);
            let first = input / params.m * params.m;
            let end = min(first + params.m, params.inputs);
            var before = 0u;
            for (var r = first; r < end; r += 1u) {
                let other = score(values[weight_at(r, unit)]);
                before += u32(other > own || (other == own && r < input));
            }
            not_a_number += u32(own > INFINITE);
            if before < (n * (end - first) + params.m - 1u) / params.m {
                bits |= 1u << b;
            } else {
                highest = max(highest, own);
            }
        }
        changed = countOneBits(bits ^ mask[word]);
        mask[word] = bits;
        if not_a_number > 0u {
            atomicAdd(&mask_state[NAN], not_a_number);
        }
    }
    pruned[local] = highest;
    // Where it adds up, it waits for all of these.
    tally(local, countOneBits(bits), changed);
    if !TALLY {
        atomicMax(&mask_state[THRESHOLD], highest);
    } else if local < 16u {
        for (var n = 0u; n < 16u; n += 1u) {
            highest = max(highest, pruned[local * 16u + n]);
        }
        atomicMax(&mask_state[THRESHOLD], highest);
    }
}
