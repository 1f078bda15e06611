// What attention is made of where subgroups have 8 lanes that hear each other, and loads cost more than arithmetic.
//
// A workgroup is one subgroup. Its rows are 16 positions of one head, its columns the positions that these meet, 32 at
// a time; as in product_lanes.wgsl a lane loads two rows' words and four columns' a term. Sums over columns go through
// these lane by lane: what was found out for a column moves down to lane 0 and is heard from there. So nothing is in
// memory that lanes share, and nobody waits.
override SLICE: u32 = 64u; // channels of each sum over columns, of which a lane has an eighth: 32 or 64

alias Element = f32;

const ROWS: u32 = 16u;
const BLOCK: u32 = 32u;

// Of each row the columns `lane`, `lane` + 8, + 16 and + 24.
alias Tile = array<vec4<f32>, 16>;

// Of each row the channels `lane`, `lane` + 8 and so on: the first four, and the others.
struct Sums {
    near: Tile,
    far: Tile,
}

// The channels that a lane has, within those there are.
struct Channels {
    near: vec4<u32>,
    far: vec4<u32>,
}

// Sums on their way out, for one loop to store; each lane reads back its own only.
var<workgroup> held: array<f32, 1024>;

fn channels_of(slice: u32, lane: u32) -> Channels {
    let top = vec4(params.width - 1u);
    let near = slice + lane + vec4(0u, 8u, 16u, 24u);
    return Channels(min(near, top), min(near + 32u, top));
}

fn rows_of(second: bool, p: Place, i: u32, lane: u32) -> vec2<u32> {
    let last = params.length - 1u;
    return vec2(own_at(second, p, min(i + lane, last)), own_at(second, p, min(i + 8u + lane, last)));
}

fn columns_of(second: bool, p: Place, at: vec4<u32>) -> vec4<u32> {
    let j = min(at, vec4(params.length - 1u));
    return vec4(
        other_at(second, p, j.x),
        other_at(second, p, j.y),
        other_at(second, p, j.z),
        other_at(second, p, j.w),
    );
}

fn four(second: bool, at: vec4<u32>) -> vec4<f32> {
    return vec4(other(second, at.x), other(second, at.y), other(second, at.z), other(second, at.w));
}

fn dots_term(second: bool, s: ptr<function, Tile>, rows: vec2<u32>, columns: vec4<u32>, live: bool) {
    let x = four(second, columns);
    let u = select(0.0, own(second, rows.x), live);
    let l = select(0.0, own(second, rows.y), live);
    (*s)[0] = fma(vec4(subgroupBroadcast(u, 0u)), x, (*s)[0]);
    (*s)[1] = fma(vec4(subgroupBroadcast(u, 1u)), x, (*s)[1]);
    (*s)[2] = fma(vec4(subgroupBroadcast(u, 2u)), x, (*s)[2]);
    (*s)[3] = fma(vec4(subgroupBroadcast(u, 3u)), x, (*s)[3]);
    (*s)[4] = fma(vec4(subgroupBroadcast(u, 4u)), x, (*s)[4]);
    (*s)[5] = fma(vec4(subgroupBroadcast(u, 5u)), x, (*s)[5]);
    (*s)[6] = fma(vec4(subgroupBroadcast(u, 6u)), x, (*s)[6]);
    (*s)[7] = fma(vec4(subgroupBroadcast(u, 7u)), x, (*s)[7]);
    (*s)[8] = fma(vec4(subgroupBroadcast(l, 0u)), x, (*s)[8]);
    (*s)[9] = fma(vec4(subgroupBroadcast(l, 1u)), x, (*s)[9]);
    (*s)[10] = fma(vec4(subgroupBroadcast(l, 2u)), x, (*s)[10]);
    (*s)[11] = fma(vec4(subgroupBroadcast(l, 3u)), x, (*s)[11]);
    (*s)[12] = fma(vec4(subgroupBroadcast(l, 4u)), x, (*s)[12]);
    (*s)[13] = fma(vec4(subgroupBroadcast(l, 5u)), x, (*s)[13]);
    (*s)[14] = fma(vec4(subgroupBroadcast(l, 6u)), x, (*s)[14]);
    (*s)[15] = fma(vec4(subgroupBroadcast(l, 7u)), x, (*s)[15]);
}

// The products of all rows with all columns, two terms at a time.
fn dots(second: bool, rows: vec2<u32>, columns: vec4<u32>) -> Tile {
    var s: Tile;
    let top = params.width - 1u;
    for (var c = 0u; c <= top; c += 2u) {
        dots_term(second, &s, rows + vec2(c), columns + vec4(c), true);
        let next = min(c + 1u, top);
        dots_term(second, &s, rows + vec2(next), columns + vec4(next), c < top);
    }
    return s;
}

// sums += weights times what the columns `first` to `end` have.
fn mix(second: bool, sums: ptr<function, Sums>, weights: Tile, p: Place, first: u32, end: u32, c: Channels) {
    var w = weights;
    for (var j = first; j < end;) {
        let stop = min(end, j + 8u);
        for (; j < stop; j += 1u) {
            let at = vec4(other_at(second, p, j));
            let x = four(second, at + c.near);
            var y = vec4<f32>();
            if SLICE > 32u {
                y = four(second, at + c.far);
            }
            mix_term(sums, &w, x, y);
        }
        // The next eight columns.
        w[0] = w[0].yzwx;
        w[1] = w[1].yzwx;
        w[2] = w[2].yzwx;
        w[3] = w[3].yzwx;
        w[4] = w[4].yzwx;
        w[5] = w[5].yzwx;
        w[6] = w[6].yzwx;
        w[7] = w[7].yzwx;
        w[8] = w[8].yzwx;
        w[9] = w[9].yzwx;
        w[10] = w[10].yzwx;
        w[11] = w[11].yzwx;
        w[12] = w[12].yzwx;
        w[13] = w[13].yzwx;
        w[14] = w[14].yzwx;
        w[15] = w[15].yzwx;
    }
}

fn mix_row(sums: ptr<function, Sums>, w: ptr<function, Tile>, r: u32, x: vec4<f32>, y: vec4<f32>) {
    let weight = (*w)[r].x;
    let f = vec4(subgroupBroadcast(weight, 0u));
    (*w)[r].x = subgroupShuffleDown(weight, 1u);
    (*sums).near[r] = fma(f, x, (*sums).near[r]);
    if SLICE > 32u {
        (*sums).far[r] = fma(f, y, (*sums).far[r]);
    }
}

fn mix_term(sums: ptr<function, Sums>, w: ptr<function, Tile>, x: vec4<f32>, y: vec4<f32>) {
    mix_row(sums, w, 0u, x, y);
    mix_row(sums, w, 1u, x, y);
    mix_row(sums, w, 2u, x, y);
    mix_row(sums, w, 3u, x, y);
    mix_row(sums, w, 4u, x, y);
    mix_row(sums, w, 5u, x, y);
    mix_row(sums, w, 6u, x, y);
    mix_row(sums, w, 7u, x, y);
    mix_row(sums, w, 8u, x, y);
    mix_row(sums, w, 9u, x, y);
    mix_row(sums, w, 10u, x, y);
    mix_row(sums, w, 11u, x, y);
    mix_row(sums, w, 12u, x, y);
    mix_row(sums, w, 13u, x, y);
    mix_row(sums, w, 14u, x, y);
    mix_row(sums, w, 15u, x, y);
}

fn hold_four(at: u32, x: vec4<f32>) {
    held[at] = x.x;
    held[at + 8u] = x.y;
    held[at + 16u] = x.z;
    held[at + 24u] = x.w;
}

fn hold_row(lane: u32, r: u32, near: vec4<f32>, far: vec4<f32>) {
    hold_four(r * SLICE + lane, near);
    if SLICE > 32u {
        hold_four(r * SLICE + 32u + lane, far);
    }
}

// Stores the rows that are held, where there are such.
fn store_held(p: Place, i: u32, slice: u32, lane: u32, second: bool) {
    // A number that no compiler sees through, or it would write them one by one.
    let count = subgroupBroadcast(min(params.length - i, ROWS) * (SLICE / 8u), 0u);
    for (var e = 0u; e < count; e += 1u) {
        let c = slice + e % (SLICE / 8u) * 8u + lane;
        if c < params.width {
            store(second, p, i + e / (SLICE / 8u), c, held[e * 8u + lane]);
        }
    }
}
