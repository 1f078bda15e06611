// The rank of a score: the protected ones first, whatever their score.
override PROTECT: bool = false;

fn rank(x: f32, i: u32, word: u32) -> u32 {
    let s = score(x);
    return select(s, s | PROTECTED, PROTECT && bit(word, i));
}

// The ranks of four values from `i` on, a multiple of 4.
fn ranks(x: vec4<f32>, i: u32, word: u32) -> vec4<u32> {
    let s = bitcast<vec4<u32>>(x) & vec4(0x7fffffffu);
    if PROTECT {
        return s | ((vec4(word) >> (vec4(i & 31u) + vec4(0u, 1u, 2u, 3u))) << vec4(31u));
    }
    return s;
}
