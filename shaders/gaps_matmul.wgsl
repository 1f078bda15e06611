// c = activation(a W^T + bias), for row-major a [m, k] and W [n, k], of which the kept weights are
// there, and how many columns each is behind the one before it.
//
// A strand is a stretch of the kept weights of one row of W, walked by one invocation: strands[s]
// is the row, or past the last for a strand of no row, and the column that it begins at. Eight
// strands side by side are a slice, as long as the longest of them: blocks of eight weights a
// strand, begins[slice] to begins[slice + 1]. What a strand lacks is zeros without a gap. PARTS
// slices below each other have the strands of the same eight rows.

@group(0) @binding(1) var<storage, read> values: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> gaps: array<u32>;
@group(0) @binding(3) var<storage, read> strands: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> begins: array<u32>;
@group(0) @binding(5) var<storage, read> bias: array<f32>;
@group(0) @binding(6) var<storage, read_write> c: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

struct Params {
    m: u32,
    n: u32,
    k: u32,
    fours: u32, // of rows of a, where they are turned
    a_begin: u32, // where the matrices begin in a, where it is not turned, and in c
    c_begin: u32,
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}

// Bits of a gap: 4 or 8.
override BITS: u32 = 4u;
// Strands of a row: 1, 2, 4 or 8.
override PARTS: u32 = 1u;

var<workgroup> held: array<vec4<f32>, 128>;

// The gaps of eight weights, four in the lowest bits of each word.
fn load_gaps(block: u32, lane: u32) -> vec2<u32> {
    if BITS == 4u {
        let word = gaps[block * 8u + lane];
        return vec2(word, word >> 16u);
    }
    return vec2(gaps[block * 16u + lane], gaps[block * 16u + 8u + lane]);
}

// Four weights of eight: the first or the last of them.
fn load_values(block: u32, half: u32, lane: u32) -> vec4<f32> {
    if HALVES {
        let words = values[block * 8u + lane];
        let two = select(words.xy, words.zw, half == 1u);
        return vec4(unpack2x16float(two.x), unpack2x16float(two.y));
    }
    return bitcast<vec4<f32>>(values[(block * 2u + half) * 8u + lane]);
}

// The columns of four weights that lie behind `column`.
fn columns_of(column: u32, word: u32) -> vec4<u32> {
    let x = column + (word & ((1u << BITS) - 1u));
    let y = x + ((word >> BITS) & ((1u << BITS) - 1u));
    let z = y + ((word >> (2u * BITS)) & ((1u << BITS) - 1u));
    return vec4(x, y, z, z + ((word >> (3u * BITS)) & ((1u << BITS) - 1u)));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    let group = first_group() + id;
    let slice = group.x * 8u + local / 8u;
    let lane = local & 7u;
    let i = group.y * ROWS;
    let strand = strands[slice * 8u + lane];
    let end = begins[slice + 1u];
    var column = strand.y;
    var s = vec4<f32>();
    var t = vec4<f32>();
    for (var block = begins[slice]; block < end; block += 1u) {
        let words = load_gaps(block, lane);
        let first = columns_of(column, words.x);
        let last = columns_of(first.w, words.y);
        column = last.w;
        let x = load_values(block, 0u, lane);
        s = plus(s, x.x, row_of(i, first.x));
        s = plus(s, x.y, row_of(i, first.y));
        s = plus(s, x.z, row_of(i, first.z));
        s = plus(s, x.w, row_of(i, first.w));
        let y = load_values(block, 1u, lane);
        s = plus(s, y.x, row_of(i, last.x));
        s = plus(s, y.y, row_of(i, last.y));
        s = plus(s, y.z, row_of(i, last.z));
        s = plus(s, y.w, row_of(i, last.w));
        if ROWS > 4u {
            t = plus(t, x.x, row_of(i + 4u, first.x));
            t = plus(t, x.y, row_of(i + 4u, first.y));
            t = plus(t, x.z, row_of(i + 4u, first.z));
            t = plus(t, x.w, row_of(i + 4u, first.w));
            t = plus(t, y.x, row_of(i + 4u, last.x));
            t = plus(t, y.y, row_of(i + 4u, last.y));
            t = plus(t, y.z, row_of(i + 4u, last.z));
            t = plus(t, y.w, row_of(i + 4u, last.w));
        }
    }
    if PARTS > 1u {
        held[local] = s;
        held[64u + local] = t;
        workgroupBarrier();
        if (local / 8u) % PARTS > 0u {
            return;
        }
        for (var part = 1u; part < PARTS; part += 1u) {
            s += held[local + part * 8u];
            t += held[64u + local + part * 8u];
        }
    }
    store(i, strand.x, s.x);
    if ROWS > 1u {
        store(i + 1u, strand.x, s.y);
    }
    if ROWS > 2u {
        store(i + 2u, strand.x, s.z);
        store(i + 3u, strand.x, s.w);
    }
    if ROWS > 4u {
        store(i + 4u, strand.x, t.x);
        store(i + 5u, strand.x, t.y);
        store(i + 6u, strand.x, t.z);
        store(i + 7u, strand.x, t.w);
    }
}
