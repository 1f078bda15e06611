// c = activation(a W^T + bias), for row-major a [m, k] and W [n, k], of which the kept weights are
// there, row by row, and a bit for each weight that says which these are: bit t & 31 of word t / 32
// of a row is its column t.
//
// A team of LANES invocations has four rows of W, and goes through their words. Where a bit is
// clear the weight that comes next is read and counts as zero, so there is one more than the kept
// ones.

@group(0) @binding(1) var<storage, read> values: array<u32>;
@group(0) @binding(2) var<storage, read> bits: array<u32>;
@group(0) @binding(3) var<storage, read> offsets: array<u32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> c: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

struct Params {
    m: u32,
    n: u32,
    k: u32,
    words: u32, // of a row
    fours: u32, // of rows of a, where they are turned
    a_begin: u32, // where the matrices begin in a, where it is not turned, and in c
    c_begin: u32,
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}

// 8 or 32.
override LANES: u32 = 32u;

var<workgroup> held: array<vec4<f32>, 256>;

fn value_at(at: u32) -> f32 {
    if HALVES {
        return unpack2x16float(values[at / 2u] >> ((at & 1u) * 16u)).x;
    }
    return bitcast<f32>(values[at]);
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let group = first_group() + id;
    let lane = local % LANES;
    let of_group = 64u / LANES * 4u;
    let first_unit = group.x * of_group + local / LANES * 4u;
    let unit = min(first_unit + vec4(0u, 1u, 2u, 3u), vec4(params.n - 1u));
    let i = group.y * ROWS;
    let begins = unit * params.words;
    var next = vec4(offsets[unit.x], offsets[unit.y], offsets[unit.z], offsets[unit.w]);
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    for (var w = 0u; w < params.words; w += 1u) {
        let row = begins + w;
        let word = vec4(bits[row.x], bits[row.y], bits[row.z], bits[row.w]);
        for (var bit = lane; bit < 32u; bit += LANES) {
            let at = next + countOneBits(word & vec4((1u << bit) - 1u));
            let kept = (word & vec4(1u << bit)) != vec4<u32>();
            let all = vec4(value_at(at.x), value_at(at.y), value_at(at.z), value_at(at.w));
            let value = select(vec4<f32>(), all, kept);
            let x = row_of(i, min(w * 32u + bit, params.k - 1u));
            s0 = plus(s0, value.x, x);
            s1 = plus(s1, value.y, x);
            s2 = plus(s2, value.z, x);
            s3 = plus(s3, value.w, x);
        }
        next += countOneBits(word);
    }
    held[local] = s0;
    held[64u + local] = s1;
    held[128u + local] = s2;
    held[192u + local] = s3;
    workgroupBarrier();
    // One invocation adds up the lanes of a row of W, for one row of a.
    for (var o = local; o < of_group * ROWS; o += 64u) {
        let row = o / of_group;
        let column = o % of_group;
        let first = column % 4u * 64u + column / 4u * LANES;
        var sum = 0.0;
        for (var l = 0u; l < LANES; l += 1u) {
            sum += held[first + l][row];
        }
        store(i + row, group.x * of_group + column, sum);
    }
}
