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

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let len = params.inputs * params.units;
    let word = flat_index(id, groups);
    if word * 32u >= len {
        return;
    }
    let n = counts[params.selection];
    var bits = 0u;
    var not_a_number = 0u;
    var highest = 0u;
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
    atomicAdd(&mask_state[CHANGED], countOneBits(bits ^ mask[word]));
    mask[word] = bits;
    atomicAdd(&mask_state[KEPT], countOneBits(bits));
    atomicMax(&mask_state[THRESHOLD], highest);
    if not_a_number > 0u {
        atomicAdd(&mask_state[NAN], not_a_number);
    }
}
