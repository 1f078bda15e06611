// What attention is made of on any adapter: tiles in memory that invocations share.
//
// A workgroup is 16 x 8 invocations with 64 rows, 64 columns at a time. An invocation has eight neighbouring rows and
// four columns, 16 apart, of their products, and eight rows and four channels, 16 apart, of the sums over columns; or
// eight channels of wide heads. What is in memory is in vectors of four rows, columns or channels, each written whole
// by one invocation, and what comes next is loaded into registers while a tile is used. So the columns are read from
// global memory once for all rows of a workgroup; its rows once a block of columns, from a cache.
override SLICE: u32 = 64u; // channels of each sum over columns: 64 or 128

alias Element = f32;

const ROWS: u32 = 64u;
const BLOCK: u32 = 64u;
// Terms of a tile for products, columns of one for sums.
const DEPTH: u32 = 16u;
// Vectors of a term, or of a column's weights: one more against clashes between banks.
const STRIDE: u32 = 17u;
// Where what columns have begins, behind what rows have.
const OTHERS: u32 = 272u;

// As long as the longest slice needs: OTHERS and 16 columns of 33 vectors. Nobody reads it when a function that fills it
// begins, nor when such a function has ended.
var<workgroup> tile: array<vec4<f32>, 800>;
// Two of each row: of the first eight columns of invocations, and of the last.
var<workgroup> found: array<f32, 128>;

// Columns `x` to `w` of four rows, or channels of rows `x` to `w`.
struct Tile {
    x: vec4<f32>,
    y: vec4<f32>,
    z: vec4<f32>,
    w: vec4<f32>,
}

struct Products {
    upper: Tile,
    lower: Tile,
}

struct Sums {
    upper: Tile,
    lower: Tile,
    far_upper: Tile, // 64 channels further
    far_lower: Tile,
}

// A number for each of eight rows.
struct Rows {
    upper: vec4<f32>,
    lower: vec4<f32>,
}

// What an invocation puts into a tile of channels: of two columns, 8 apart.
struct Staged {
    x: vec4<f32>,
    y: vec4<f32>,
    far_x: vec4<f32>,
    far_y: vec4<f32>,
}

// Where four neighbouring rows begin.
fn own_places(second: bool, p: Place, i: u32) -> vec4<u32> {
    let at = min(vec4(i, i + 1u, i + 2u, i + 3u), vec4(params.length - 1u));
    return vec4(own_at(second, p, at.x), own_at(second, p, at.y), own_at(second, p, at.z), own_at(second, p, at.w));
}

// Where four columns begin that are 16 apart.
fn other_places(second: bool, p: Place, j: u32) -> vec4<u32> {
    let at = min(vec4(j, j + 16u, j + 32u, j + 48u), vec4(params.length - 1u));
    let x = other_at(second, p, at.x);
    let y = other_at(second, p, at.y);
    return vec4(x, y, other_at(second, p, at.z), other_at(second, p, at.w));
}

// Terms past the end add nothing.
fn four_own(second: bool, places: vec4<u32>, c: u32) -> vec4<f32> {
    let at = places + min(c, params.width - 1u);
    let four = vec4(own(second, at.x), own(second, at.y), own(second, at.z), own(second, at.w));
    return select(vec4<f32>(), four, c < params.width);
}

fn four_other(second: bool, places: vec4<u32>, c: u32) -> vec4<f32> {
    let at = places + min(c, params.width - 1u);
    return vec4(other(second, at.x), other(second, at.y), other(second, at.z), other(second, at.w));
}

fn four_channels(second: bool, at: u32, c: u32) -> vec4<f32> {
    let there = vec4(at) + min(vec4(c, c + 16u, c + 32u, c + 48u), vec4(params.width - 1u));
    return vec4(other(second, there.x), other(second, there.y), other(second, there.z), other(second, there.w));
}

// `row` and `column` are where the invocation's rows and columns are within a term.
fn dots_term(s: ptr<function, Products>, row: u32, column: u32, term: u32) {
    let upper = tile[row + term * STRIDE];
    let lower = tile[row + (term * STRIDE + 1u)];
    let b = tile[column + (term * STRIDE + OTHERS)];
    (*s).upper.x = fma(upper, vec4(b.x), (*s).upper.x);
    (*s).lower.x = fma(lower, vec4(b.x), (*s).lower.x);
    (*s).upper.y = fma(upper, vec4(b.y), (*s).upper.y);
    (*s).lower.y = fma(lower, vec4(b.y), (*s).lower.y);
    (*s).upper.z = fma(upper, vec4(b.z), (*s).upper.z);
    (*s).lower.z = fma(lower, vec4(b.z), (*s).lower.z);
    (*s).upper.w = fma(upper, vec4(b.w), (*s).upper.w);
    (*s).lower.w = fma(lower, vec4(b.w), (*s).lower.w);
}

// The products of the rows from `i` on with the columns from `j` on.
fn dots(second: bool, p: Place, i: u32, j: u32, local: vec3<u32>) -> Products {
    var s: Products;
    let at = local.x * STRIDE + local.y;
    let row = local.y * 2u;
    let upper = own_places(second, p, i + local.y * 4u);
    let lower = own_places(second, p, i + local.y * 4u + 32u);
    let near = other_places(second, p, j + local.y);
    let far = other_places(second, p, j + local.y + 8u);
    var a = four_own(second, upper, local.x);
    var b = four_own(second, lower, local.x);
    var x = four_other(second, near, local.x);
    var y = four_other(second, far, local.x);
    for (var c = 0u; c < params.width; c += DEPTH) {
        tile[at] = a;
        tile[at + 8u] = b;
        tile[OTHERS + at] = x;
        tile[OTHERS + at + 8u] = y;
        workgroupBarrier();
        if c + DEPTH < params.width {
            let next = c + DEPTH + local.x;
            a = four_own(second, upper, next);
            b = four_own(second, lower, next);
            x = four_other(second, near, next);
            y = four_other(second, far, next);
        }
        let terms = min(params.width - c, DEPTH);
        for (var term = 0u; term < terms; term += 2u) {
            dots_term(&s, row, local.x, term);
            dots_term(&s, row, local.x, term + 1u);
        }
        workgroupBarrier();
    }
    return s;
}

fn staged(second: bool, p: Place, j: u32, slice: u32, local: vec3<u32>) -> Staged {
    let last = params.length - 1u;
    let one = other_at(second, p, min(j + local.y, last));
    let two = other_at(second, p, min(j + local.y + 8u, last));
    let c = slice + local.x;
    var far_x = vec4<f32>();
    var far_y = vec4<f32>();
    if SLICE > 64u {
        far_x = four_channels(second, one, c + 64u);
        far_y = four_channels(second, two, c + 64u);
    }
    return Staged(four_channels(second, one, c), four_channels(second, two, c), far_x, far_y);
}

fn add_rows(sums: Tile, w: vec4<f32>, x: vec4<f32>) -> Tile {
    return Tile(
        fma(vec4(w.x), x, sums.x),
        fma(vec4(w.y), x, sums.y),
        fma(vec4(w.z), x, sums.z),
        fma(vec4(w.w), x, sums.w),
    );
}

// `row` and `channel` are where the invocation's rows and channels are within a column.
fn mix_column(sums: ptr<function, Sums>, row: u32, channel: u32, column: u32) {
    let upper = tile[row + column * STRIDE];
    let lower = tile[row + (column * STRIDE + 1u)];
    let at = channel + (column * (SLICE / 4u + 1u) + OTHERS);
    let x = tile[at];
    (*sums).upper = add_rows((*sums).upper, upper, x);
    (*sums).lower = add_rows((*sums).lower, lower, x);
    if SLICE > 64u {
        let far = tile[at + 16u];
        (*sums).far_upper = add_rows((*sums).far_upper, upper, far);
        (*sums).far_lower = add_rows((*sums).far_lower, lower, far);
    }
}

// sums += weights times what the columns from `first` to `end` have, of which there is one at least.
fn mix(
    second: bool,
    sums: ptr<function, Sums>,
    weights: Products,
    p: Place,
    first: u32,
    end: u32,
    slice: u32,
    local: vec3<u32>,
) {
    var upper = weights.upper;
    var lower = weights.lower;
    var next = staged(second, p, first, slice, local);
    let mine = local.y * 2u;
    let row = local.x * STRIDE + mine;
    let column = OTHERS + local.y * (SLICE / 4u + 1u) + local.x;
    let further = column + 8u * (SLICE / 4u + 1u);
    for (var j = first; j < end; j += DEPTH) {
        tile[row] = upper.x;
        tile[row + 1u] = lower.x;
        tile[column] = next.x;
        tile[further] = next.y;
        if SLICE > 64u {
            tile[column + 16u] = next.far_x;
            tile[further + 16u] = next.far_y;
        }
        workgroupBarrier();
        if j + DEPTH < end {
            next = staged(second, p, j + DEPTH, slice, local);
        }
        let columns = min(end - j, DEPTH);
        for (var c = 0u; c < columns; c += 2u) {
            mix_column(sums, mine, local.x, c);
            mix_column(sums, mine, local.x, c + 1u);
        }
        // The next sixteen columns.
        upper = Tile(upper.y, upper.z, upper.w, upper.w);
        lower = Tile(lower.y, lower.z, lower.w, lower.w);
        workgroupBarrier();
    }
}

// Stores four rows, number by number: code for each would take a driver long to compile. An invocation reads back its
// own only.
fn store_rows(second: bool, p: Place, i: u32, channel: u32, local: vec3<u32>, sums: Tile) {
    let lane = local.y * 16u + local.x;
    tile[lane] = sums.x;
    tile[lane + 128u] = sums.y;
    tile[lane + 256u] = sums.z;
    tile[lane + 384u] = sums.w;
    let rows = min(params.length - min(i, params.length), 4u);
    for (var e = 0u; e < rows * 4u; e += 1u) {
        let c = channel + (e & 3u) * 16u;
        if c < params.width {
            store(second, p, i + e / 4u, c, tile[e / 4u * 128u + lane][e & 3u]);
        }
    }
}

fn store_sums(second: bool, p: Place, i: u32, slice: u32, local: vec3<u32>, sums: Sums) {
    let channel = slice + local.x;
    store_rows(second, p, i, channel, local, sums.upper);
    store_rows(second, p, i + 4u, channel, local, sums.lower);
    if SLICE > 64u {
        store_rows(second, p, i, channel + 64u, local, sums.far_upper);
        store_rows(second, p, i + 4u, channel + 64u, local, sums.far_lower);
    }
}
