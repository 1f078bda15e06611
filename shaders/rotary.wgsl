// Pairs of channels turned by the angles of their position (Su et al. 2021): of a pair (a, b) and an angle of cosine c
// and sine s, out = (a c - b s, b c + a s); where BACK by the angle's negative, which is the gradient.
//
// A pair are the channels p and p + pairs of a head, or where INTERLEAVED 2 p and 2 p + 1. Other channels stay.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<f32>; // [length, pairs, 2]: cosines and sines
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    len: u32,
    length: u32,
    channels: u32,
    turned: u32,
    width: u32,
    pairs: u32,
}

override INTERLEAVED: bool = false;
override BACK: bool = false;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.len {
        return;
    }
    let row = i / params.channels;
    let channel = i - row * params.channels;
    let c = channel % params.width;
    var value = x[i];
    if channel < params.turned && c < 2u * params.pairs {
        let is_second = select(c >= params.pairs, (c & 1u) == 1u, INTERLEAVED);
        let pair = select(c - select(0u, params.pairs, is_second), c / 2u, INTERLEAVED);
        let apart = select(params.pairs, 1u, INTERLEAVED);
        let other = x[select(i + apart, i - apart, is_second)];
        let at = (row % params.length * params.pairs + pair) * 2u;
        let sine = select(-table[at + 1u], table[at + 1u], is_second != BACK);
        value = fma(value, table[at], other * sine);
    }
    out[i] = value;
}
