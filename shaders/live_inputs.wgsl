// live[g words + w], bit b = whether any unit from 32 g on, of 32, keeps its weight of the input
// 32 w + b. Bits of inputs past the last are 0.

@group(0) @binding(0) var<storage, read> mask: array<u32>;
@group(0) @binding(1) var<storage, read_write> live: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    inputs: u32,
    units: u32,
    words: u32, // of a group of units
    len: u32, // words of all groups
}

override OUTPUTS_FIRST: bool = false;

// The bits of the mask from `at` on, `count` of them, 1 to 32, lowest first.
fn bits_from(at: u32, count: u32) -> u32 {
    let shift = at & 31u;
    let next = mask[min(at / 32u + 1u, arrayLength(&mask) - 1u)];
    // A shift by 32 would be none.
    let word = (mask[at / 32u] >> shift) | ((next << 1u) << (31u - shift));
    return word & (0xffffffffu >> (32u - count));
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.len {
        return;
    }
    let first_unit = i / params.words * 32u;
    let first_input = i % params.words * 32u;
    let units = min(params.units - first_unit, 32u);
    let inputs = min(params.inputs - first_input, 32u);
    var word = 0u;
    if OUTPUTS_FIRST {
        for (var u = 0u; u < units; u += 1u) {
            word |= bits_from((first_unit + u) * params.inputs + first_input, inputs);
        }
    } else {
        for (var b = 0u; b < inputs; b += 1u) {
            let kept = bits_from((first_input + b) * params.units + first_unit, units);
            word |= select(0u, 1u << b, kept != 0u);
        }
    }
    live[i] = word;
}
