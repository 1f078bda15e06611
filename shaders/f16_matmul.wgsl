// c = activation(op(a) op(b) + bias) * slope(gate), for op(a) [m, k] and op(b) [k, n] in halves and sums in f32.
//
// a and b are what `f16_copy` leaves: row-major, padded with zeros, times the powers of two that peaks have. Another
// file binds them: common/f16_terms.wgsl as halves, common/product_coop.wgsl as vectors of four.

@group(0) @binding(2) var<storage, read> peaks: array<u32>;
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
    a_stride: u32, // halves of a row
    b_stride: u32,
    a_peak: u32, // places in peaks
    b_peak: u32,
    c_begin: u32, // where the matrix begins in c
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}

// Where a is at a row and a term; the second says that it is anywhere.
struct Place {
    at: u32,
    inside: bool,
}

fn place_in_a(i: Row, k: Term) -> Place {
    if TRANS_A {
        return Place(k * params.a_stride + i, true);
    }
    return Place(i * params.a_stride + k, true);
}

fn place_in_b(k: Term, j: u32) -> u32 {
    if TRANS_B {
        return j * params.b_stride + k;
    }
    return k * params.b_stride + j;
}

fn column_of(j: u32) -> u32 {
    return j;
}

fn place_of(i: u32, j: u32) -> u32 {
    return params.c_begin + i * params.n + j;
}
