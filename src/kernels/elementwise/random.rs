//! Random words as functions of a seed and a place: `shaders/common/random.wgsl`.

/// 2^32 over the golden ratio.
const GOLDEN: u32 = 0x9e37_79b9;

/// murmur3's 32-bit finaliser (Appleby, MurmurHash3).
pub fn mix_bits(x: u32) -> u32 {
    let x = (x ^ x >> 16).wrapping_mul(0x85eb_ca6b);
    let x = (x ^ x >> 13).wrapping_mul(0xc2b2_ae35);
    x ^ x >> 16
}

/// The word at place `i` of the sequence `seed`.
pub fn random_bits(seed: u32, i: u32) -> u32 {
    mix_bits(mix_bits(i ^ mix_bits(seed.wrapping_add(GOLDEN))).wrapping_add(seed))
}

/// The seed of `stream` where the step's noise is `noise`.
pub(in crate::kernels) fn stream_seed(noise: u32, stream: u32) -> u32 {
    mix_bits(noise.wrapping_add(stream.wrapping_mul(GOLDEN)))
}
