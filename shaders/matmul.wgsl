// c = activation(op(a) op(b) + bias) * slope(gate), for row-major op(a) [m, k] and op(b) [k, n].
//
// op transposes where TRANS_A or TRANS_B says so; b is masked where MASKED. Each invocation keeps
// an 8 x 4 block of c in registers; rows and columns past the edge are clamped while loading and
// skipped while storing, so that the inner loop has no branch.

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
}

override TRANS_A: bool = false;
override TRANS_B: bool = false;
override MASKED: bool = false;
override BIAS: bool = false;
override ACTIVATION: u32 = IDENTITY;
override GATE: u32 = IDENTITY;
override ACCUMULATE: bool = false;

fn load_a(i: u32, k: u32) -> f32 {
    if TRANS_A {
        return a[k * params.m + i];
    }
    return a[i * params.k + k];
}

fn load_b(k: u32, j: u32) -> f32 {
    var at = k * params.n + j;
    if TRANS_B {
        at = j * params.k + k;
    }
    if MASKED && !bit(mask[at / 32u], at) {
        return 0.0;
    }
    return b[at];
}

fn store(i: u32, j: u32, sum: f32) {
    if i >= params.m || j >= params.n {
        return;
    }
    let at = i * params.n + j;
    var value = sum;
    if ACCUMULATE {
        value += c[at];
    }
    if BIAS {
        value += bias[j];
    }
    value = activate(ACTIVATION, value);
    if GATE != IDENTITY {
        value *= slope(GATE, gate[at]);
    }
    c[at] = value;
}

fn store_row(i: u32, j: vec4<u32>, sum: vec4<f32>) {
    store(i, j.x, sum.x);
    store(i, j.y, sum.y);
    store(i, j.z, sum.z);
    store(i, j.w, sum.w);
}

@compute @workgroup_size(16, 4)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let i = group.y * 32u + local.y * 8u;
    let j = group.x * 64u + local.x + vec4(0u, 16u, 32u, 48u);
    let last = params.m - 1u;
    let i0 = min(i, last);
    let i1 = min(i + 1u, last);
    let i2 = min(i + 2u, last);
    let i3 = min(i + 3u, last);
    let i4 = min(i + 4u, last);
    let i5 = min(i + 5u, last);
    let i6 = min(i + 6u, last);
    let i7 = min(i + 7u, last);
    let jj = min(j, vec4(params.n - 1u));
    // Named, not an array: an indexed array of accumulators would live in memory.
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var s4 = vec4<f32>();
    var s5 = vec4<f32>();
    var s6 = vec4<f32>();
    var s7 = vec4<f32>();
    for (var k = params.k_begin; k < params.k_end; k += 1u) {
        let row = vec4(load_b(k, jj.x), load_b(k, jj.y), load_b(k, jj.z), load_b(k, jj.w));
        s0 = fma(vec4(load_a(i0, k)), row, s0);
        s1 = fma(vec4(load_a(i1, k)), row, s1);
        s2 = fma(vec4(load_a(i2, k)), row, s2);
        s3 = fma(vec4(load_a(i3, k)), row, s3);
        s4 = fma(vec4(load_a(i4, k)), row, s4);
        s5 = fma(vec4(load_a(i5, k)), row, s5);
        s6 = fma(vec4(load_a(i6, k)), row, s6);
        s7 = fma(vec4(load_a(i7, k)), row, s7);
    }
    store_row(i, j, s0);
    store_row(i + 1u, j, s1);
    store_row(i + 2u, j, s2);
    store_row(i + 3u, j, s3);
    store_row(i + 4u, j, s4);
    store_row(i + 5u, j, s5);
    store_row(i + 6u, j, s6);
    store_row(i + 7u, j, s7);
}
