// What attention is made of on any adapter: tiles in memory that invocations share.
//
// A workgroup is 8 x 8 invocations with 32 rows, 32 columns at a time. An invocation has four rows and four columns of
// their products, and four rows and eight channels of the sums over columns. What is in memory is in vectors of four
// rows, or of four channels, each written whole by one invocation.
const ROWS: u32 = 32u;
const BLOCK: u32 = 32u;
const SLICE: u32 = 64u;
// Terms of a tile, with a vector more a term against clashes between banks.
const DEPTH: u32 = 16u;

var<workgroup> tile: array<vec4<f32>, 288>;
// Of each column eight fours of rows.
var<workgroup> weight: array<vec4<f32>, 256>;
var<workgroup> slope: array<vec4<f32>, 256>;
// Of each four of rows, one of each invocation that has them.
var<workgroup> partial: array<vec4<f32>, 64>;

// Columns `x` to `w` of four rows.
struct Tile {
    x: vec4<f32>,
    y: vec4<f32>,
    z: vec4<f32>,
    w: vec4<f32>,
}

// Rows `x` to `w`, four channels of each.
struct Sums {
    near: Tile,
    far: Tile,
}

fn four_own(second: bool, p: Place, i: u32, c: u32) -> vec4<f32> {
    let at = min(vec4(i, i + 1u, i + 2u, i + 3u), vec4(params.length - 1u));
    let channel = min(c, params.width - 1u);
    let x = own(second, own_at(second, p, at.x) + channel);
    let y = own(second, own_at(second, p, at.y) + channel);
    let z = own(second, own_at(second, p, at.z) + channel);
    let w = own(second, own_at(second, p, at.w) + channel);
    // Terms past the end add nothing.
    return select(vec4<f32>(), vec4(x, y, z, w), c < params.width);
}

fn four_other(second: bool, p: Place, j: u32, c: u32) -> vec4<f32> {
    let at = min(vec4(j, j + 1u, j + 2u, j + 3u), vec4(params.length - 1u));
    let channel = min(c, params.width - 1u);
    let x = other(second, other_at(second, p, at.x) + channel);
    let y = other(second, other_at(second, p, at.y) + channel);
    let z = other(second, other_at(second, p, at.z) + channel);
    let w = other(second, other_at(second, p, at.w) + channel);
    return vec4(x, y, z, w);
}

fn four_channels(second: bool, p: Place, j: u32, c: u32) -> vec4<f32> {
    let at = other_at(second, p, min(j, params.length - 1u));
    let channel = min(vec4(c, c + 1u, c + 2u, c + 3u), vec4(params.width - 1u));
    let x = other(second, at + channel.x);
    let y = other(second, at + channel.y);
    let z = other(second, at + channel.z);
    let w = other(second, at + channel.w);
    return vec4(x, y, z, w);
}

fn dots_term(s: ptr<function, Tile>, local: vec3<u32>, term: u32) {
    let a = tile[term * 9u + local.y];
    let b = tile[144u + term * 9u + local.x];
    (*s).x = fma(a, vec4(b.x), (*s).x);
    (*s).y = fma(a, vec4(b.y), (*s).y);
    (*s).z = fma(a, vec4(b.z), (*s).z);
    (*s).w = fma(a, vec4(b.w), (*s).w);
}

// The products of the rows from `i` on with the columns from `j` on.
fn dots(second: bool, p: Place, i: u32, j: u32, local: vec3<u32>) -> Tile {
    var s: Tile;
    let lane = local.y * 8u + local.x;
    for (var c = 0u; c < params.width; c += DEPTH) {
        workgroupBarrier();
        for (var v = lane; v < 8u * DEPTH; v += 64u) {
            let term = v % DEPTH;
            let side = v / DEPTH;
            tile[term * 9u + side] = four_own(second, p, i + side * 4u, c + term);
            tile[144u + term * 9u + side] = four_other(second, p, j + side * 4u, c + term);
        }
        workgroupBarrier();
        for (var term = 0u; term < DEPTH; term += 2u) {
            dots_term(&s, local, term);
            dots_term(&s, local, term + 1u);
        }
    }
    return s;
}

fn add_row(sums: ptr<function, Sums>, w: vec4<f32>, near: vec4<f32>, far: vec4<f32>) {
    (*sums).near.x = fma(vec4(w.x), near, (*sums).near.x);
    (*sums).far.x = fma(vec4(w.x), far, (*sums).far.x);
    (*sums).near.y = fma(vec4(w.y), near, (*sums).near.y);
    (*sums).far.y = fma(vec4(w.y), far, (*sums).far.y);
    (*sums).near.z = fma(vec4(w.z), near, (*sums).near.z);
    (*sums).far.z = fma(vec4(w.z), far, (*sums).far.z);
    (*sums).near.w = fma(vec4(w.w), near, (*sums).near.w);
    (*sums).far.w = fma(vec4(w.w), far, (*sums).far.w);
}

// sums += what is in `weight`, or in `slope`, times what the columns from `j` on have.
fn mix(second: bool, sloped: bool, sums: ptr<function, Sums>, p: Place, j: u32, slice: u32, local: vec3<u32>) {
    let lane = local.y * 8u + local.x;
    for (var half = 0u; half < BLOCK; half += DEPTH) {
        workgroupBarrier();
        for (var v = lane; v < 16u * DEPTH; v += 64u) {
            let column = v / 16u;
            tile[column * 17u + v % 16u] = four_channels(second, p, j + half + column, slice + v % 16u * 4u);
        }
        workgroupBarrier();
        for (var column = 0u; column < DEPTH; column += 2u) {
            mix_column(sloped, sums, column, half + column, local);
            mix_column(sloped, sums, column + 1u, half + column + 1u, local);
        }
    }
}

fn mix_column(sloped: bool, sums: ptr<function, Sums>, place: u32, column: u32, local: vec3<u32>) {
    let at = column * 8u + local.y;
    var w = weight[at];
    if sloped {
        w = slope[at];
    }
    add_row(sums, w, tile[place * 17u + local.x], tile[place * 17u + 8u + local.x]);
}

// Stores the rows and channels of an invocation, one by one: code for each would take a driver long to compile.
fn store_sums(second: bool, p: Place, i: u32, slice: u32, local: vec3<u32>, sums: Sums) {
    let lane = local.y * 8u + local.x;
    workgroupBarrier();
    weight[lane] = sums.near.x;
    weight[lane + 64u] = sums.near.y;
    weight[lane + 128u] = sums.near.z;
    weight[lane + 192u] = sums.near.w;
    slope[lane] = sums.far.x;
    slope[lane + 64u] = sums.far.y;
    slope[lane + 128u] = sums.far.z;
    slope[lane + 192u] = sums.far.w;
    let rows = min(params.length - min(i, params.length), 4u);
    for (var e = 0u; e < rows * 8u; e += 1u) {
        let at = e / 8u * 64u + lane;
        let c = slice + local.x * 4u + (e & 3u);
        let far = (e & 4u) != 0u;
        let channel = select(c, c + 32u, far);
        if channel < params.width {
            store(second, p, i + e / 8u, channel, select(weight[at][e & 3u], slope[at][e & 3u], far));
        }
    }
}
