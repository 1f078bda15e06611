// Scores order as the bits of |x|, which order as unsigned integers just as |x| does. 31 bits.
const INFINITE: u32 = 0x7f800000u; // scores above it are NaN

fn score(x: f32) -> u32 {
    return bitcast<u32>(x) & 0x7fffffffu;
}
