// Random words as functions of a seed and a place: murmur3's finaliser over both.
const GOLDEN: u32 = 0x9e3779b9u;

fn mix_bits(word: u32) -> u32 {
    var x = word;
    x = (x ^ (x >> 16u)) * 0x85ebca6bu;
    x = (x ^ (x >> 13u)) * 0xc2b2ae35u;
    return x ^ (x >> 16u);
}

// The seed enters twice: once only, and two seeds would give the same numbers in another order.
fn random_bits(seed: u32, i: u32) -> u32 {
    return mix_bits(mix_bits(i ^ mix_bits(seed + GOLDEN)) + seed);
}
