// c = activation(op(a) op(b) + bias) * slope(gate), for op(a) [m, k] and op(b) [k, n] in halves and sums in f32.
//
// a and b are what `f16_copy` leaves: row-major, padded with zeros, times the powers of two that peaks have.

@group(0) @binding(0) var<storage, read> a: array<f16>;
@group(0) @binding(1) var<storage, read> b: array<f16>;
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
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}

fn load_a(i: Row, k: Term) -> f32 {
    if TRANS_A {
        return f32(a[k * params.a_stride + i]);
    }
    return f32(a[i * params.a_stride + k]);
}

fn place_in_b(k: Term, j: u32) -> u32 {
    if TRANS_B {
        return j * params.b_stride + k;
    }
    return k * params.b_stride + j;
}

fn value_in_b(at: u32) -> f32 {
    return f32(b[at]);
}

fn load_b(k: Term, j: u32) -> f32 {
    return value_in_b(place_in_b(k, j));
}

// Copies are of masked values.
const MASKED: bool = false;

fn word_of_mask(i: u32) -> u32 {
    return 0u;
}

// One after the other: the product of both may be no f32.
fn unscaled(sum: f32) -> f32 {
    let a_power = power_of_two(254u - f16_power(peaks[params.a_peak]));
    return sum * a_power * power_of_two(254u - f16_power(peaks[params.b_peak]));
}

fn column_of(j: u32) -> u32 {
    return j;
}

fn place_of(i: u32, j: u32) -> u32 {
    return i * params.n + j;
}
