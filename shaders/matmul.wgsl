// c = activation(op(a) op(b) + bias) * slope(gate), for row-major op(a) [m, k] and op(b) [k, n].
//
// op transposes where TRANS_A or TRANS_B says so; b is masked where MASKED.

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> gate: array<f32>;
@group(0) @binding(5) var<storage, read_write> c: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

struct Params {
    m: u32,
    n: u32,
    k: u32,
    k_begin: u32,
    k_end: u32,
    part_terms: u32, // where SPLIT
    a_begin: u32, // where the matrices begin in a and c
    c_begin: u32,
    first_column: u32, // row of b for it, where TRANS_B
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}

override MASKED: bool = false;

fn load_a(i: Row, k: Term) -> f32 {
    if TRANS_A {
        return a[params.a_begin + k * params.m + i];
    }
    return a[params.a_begin + i * params.k + k];
}

fn place_in_b(k: Term, j: u32) -> u32 {
    if TRANS_B {
        return j * params.k + k;
    }
    return k * params.n + j;
}

fn load_b(k: Term, j: u32) -> f32 {
    let at = place_in_b(k, j);
    if MASKED && !bit(mask[at / 32u], at) {
        return 0.0;
    }
    return b[at];
}

fn value_in_b(at: u32) -> f32 {
    return b[at];
}

fn word_of_mask(i: u32) -> u32 {
    return mask[min(i, arrayLength(&mask) - 1u)];
}

fn unscaled(sum: f32) -> f32 {
    return sum;
}

fn column_of(j: u32) -> u32 {
    return j + params.first_column;
}

fn place_of(i: u32, j: u32) -> u32 {
    return params.c_begin + i * params.n + j;
}
