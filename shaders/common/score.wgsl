// Magnitude score: the bits of |w| order as unsigned integers just as |w| does. 31 bits.
const INFINITE: u32 = 0x7f800000u; // scores above it are NaN

fn score(w: f32) -> u32 {
    return bitcast<u32>(w) & 0x7fffffffu;
}
