// score[i] = ((hash(seed, i) >> 8) + 1) / 2^24, with the seed of this selection.
//
// hash(seed, i) = mix(mix(i ^ mix(seed + GOLDEN)) + seed), with murmur3's finaliser as mix. The seed
// enters twice: once only, and two seeds would give the same numbers in another order.

@group(0) @binding(0) var<storage, read> seeds: array<u32>;
@group(0) @binding(1) var<storage, read_write> score: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    len: u32,
    selection: u32,
}

const GOLDEN: u32 = 0x9e3779b9u;

fn mix_bits(word: u32) -> u32 {
    var x = word;
    x = (x ^ (x >> 16u)) * 0x85ebca6bu;
    x = (x ^ (x >> 13u)) * 0xc2b2ae35u;
    return x ^ (x >> 16u);
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
    let seed = seeds[params.selection];
    let hash = mix_bits(mix_bits(i ^ mix_bits(seed + GOLDEN)) + seed);
    // 24 bits and a power of two: nothing is rounded.
    score[i] = f32((hash >> 8u) + 1u) * 0x1p-24;
}
