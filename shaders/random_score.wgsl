// score[i] = ((random_bits(seed, i) >> 8) + 1) / 2^24, with the seed of this selection.

@group(0) @binding(0) var<storage, read> seeds: array<u32>;
@group(0) @binding(1) var<storage, read_write> score: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    len: u32,
    selection: u32,
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
    // 24 bits and a power of two: nothing is rounded.
    score[i] = f32((random_bits(seeds[params.selection], i) >> 8u) + 1u) * 0x1p-24;
}
