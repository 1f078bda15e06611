// c = activation(a W + bias), for row-major a [m, k] and a W [k, n] of which only blocks are there,
// HEIGHT neighbouring inputs of WIDTH neighbouring outputs each.
//
// The outputs from g WIDTH on have the blocks begins[g] to begins[g + 1]. Block b begins at the
// input inputs[b] HEIGHT, in rising order, and its weights are values[b], input by input; what of
// it is past an edge of W is 0. A term of a sum is an input of a block.

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> values: array<u32>;
@group(0) @binding(2) var<storage, read> begins: array<u32>;
@group(0) @binding(3) var<storage, read> inputs: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> c: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

struct Params {
    m: u32,
    n: u32,
    k: u32,
    blocks: u32,
    begin: u32, // of the terms of each sum, the first of this launch
    end: u32, // and one past the last
    a_begin: u32, // where the matrices begin in a, where it is not turned, and in c
    c_begin: u32,
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}

override HEIGHT: u32 = 1u;
override WIDTH: u32 = 32u; // or 4, 8, 16

// The terms of this launch for the outputs from group WIDTH on. Whatever the lists hold, nothing
// past a slot is read.
fn terms_of(group: u32) -> vec2<u32> {
    let all = min(vec2(begins[group], begins[group + 1u]), vec2(params.blocks)) * HEIGHT;
    return min(all.xx + vec2(params.begin, params.end), all.yy);
}

fn weight_at(at: u32) -> f32 {
    if HALVES {
        return unpack2x16float(values[at / 2u] >> ((at & 1u) * 16u)).x;
    }
    return bitcast<f32>(values[at]);
}

fn input_at(term: u32) -> u32 {
    return min(inputs[term / HEIGHT] * HEIGHT + term % HEIGHT, params.k - 1u);
}

// Where the row i of a begins, or the last one.
fn row_at(i: u32) -> u32 {
    return params.a_begin + min(i, params.m - 1u) * params.k;
}

// What the first rows of a have in a column, as many of them as count.
fn first_rows(x: u32) -> vec4<f32> {
    var rows = vec4(a[params.a_begin + x], 0.0, 0.0, 0.0);
    if ROWS > 1u {
        rows.y = a[row_at(1u) + x];
    }
    if ROWS > 2u {
        rows.z = a[row_at(2u) + x];
        rows.w = a[row_at(3u) + x];
    }
    return rows;
}
