// Bit i of mask is set where |values[i]| is above the threshold. One invocation a word.

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> mask_state: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read_write> mask: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    len: u32,
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let word = flat_index(id, groups);
    var bits = 0u;
    var changed = 0u;
    if word * 32u < params.len {
        let threshold = atomicLoad(&mask_state[THRESHOLD]);
        var not_a_number = 0u;
        for (var n = 0u; n < 32u; n += 1u) {
            let i = word * 32u + n;
            if i < params.len {
                let s = score(values[i]);
                bits |= u32(s > threshold) << n;
                not_a_number += u32(s > INFINITE);
            }
        }
        changed = countOneBits(bits ^ mask[word]);
        mask[word] = bits;
        if not_a_number > 0u {
            atomicAdd(&mask_state[NAN], not_a_number);
        }
    }
    tally(local, countOneBits(bits), changed);
}
