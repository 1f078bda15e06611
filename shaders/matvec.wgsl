// c = activation(sum over the terms k of a(k) b(k, j), + bias): `matmul` of one row, whose sums it
// makes term by term in the same order, to the same bits. It is for adapters where a load costs as
// much for four neighbouring words as for one.
//
// b is [k, n], and an invocation has four neighbouring columns; or where TRANS_B [n, k], and it has
// two columns, each of whose terms are neighbours.

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    n: u32,
    k: u32,
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}

override TRANS_B: bool = false;
override BIAS: bool = false;
override ACTIVATION: u32 = IDENTITY;
// Whether it adds to what is in c, before bias and activation.
override ACCUMULATE: bool = false;

fn store(j: u32, sum: f32) {
    if j < params.n {
        var value = sum;
        if ACCUMULATE {
            value += c[j];
        }
        if BIAS {
            value += bias[j];
        }
        c[j] = activate(ACTIVATION, value);
    }
}

fn add_four(sum: f32, x: vec4<f32>, w: vec4<f32>) -> f32 {
    return fma(x.w, w.w, fma(x.z, w.z, fma(x.y, w.y, fma(x.x, w.x, sum))));
}

// Two columns of b [n, k].
fn long_columns(at: u32) {
    let fours = params.k / 4u;
    let j = at * 2u;
    let near = min(j, params.n - 1u) * fours;
    let far = min(j + 1u, params.n - 1u) * fours;
    var s = vec2<f32>();
    for (var k = 0u; k < fours; k += 1u) {
        let x = a[k];
        s.x = add_four(s.x, x, b[near + k]);
        s.y = add_four(s.y, x, b[far + k]);
    }
    store(j, s.x);
    store(j + 1u, s.y);
}

// Four columns of b [k, n].
fn short_columns(at: u32) {
    let row = params.n / 4u;
    var place = min(at, row - 1u);
    var s = vec4<f32>();
    for (var k = 0u; k < params.k / 4u; k += 1u) {
        let x = a[k];
        s = fma(vec4(x.x), b[place], s);
        s = fma(vec4(x.y), b[place + row], s);
        s = fma(vec4(x.z), b[place + 2u * row], s);
        s = fma(vec4(x.w), b[place + 3u * row], s);
        place += 4u * row;
    }
    let j = at * 4u;
    store(j, s.x);
    store(j + 1u, s.y);
    store(j + 2u, s.z);
    store(j + 3u, s.w);
}

@compute @workgroup_size(32)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = (first_group() + id).x * 32u + local;
    if TRANS_B {
        long_columns(at);
    } else {
        short_columns(at);
    }
}
