// A gradient's element before norms are looked at: times the multiplier, and not beyond +-value. NaN and
// infinities stay what they are, which clamp() does not promise: a clip must not hide them.
override VALUE: bool = false;

fn clipped(x: f32, multiplier: f32, value: f32) -> f32 {
    let g = multiplier * x;
    let finite = (bitcast<u32>(g) & 0x7f800000u) != 0x7f800000u;
    return select(g, clamp(g, -value, value), VALUE && finite);
}
