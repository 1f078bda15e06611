// Halves have 11 bits and end at 65504. So each tensor is kept times a power of two of its own, which brings its
// largest magnitude to 2^14 or more, below 2^15: nothing overflows, and what gets lost is below 2^-38 of the largest.
// `peak` is that magnitude's bits; the result is the exponent's bits of the power, whose inverse is no denormal.
fn f16_power(peak: u32) -> u32 {
    return min(268u - (peak >> 23u), 253u);
}

fn power_of_two(exponent: u32) -> f32 {
    return bitcast<f32>(exponent << 23u);
}
