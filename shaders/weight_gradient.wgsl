// c = a^T b, and beside it the sums of the columns of b, or of a where OF_A, for row-major a [k, m] and b [k, n]: the
// gradients of a layer's weights and of its bias in one launch.
//
// The workgroups of the first row of tiles, or of the first column, add up what they stage anyway. An invocation loads
// the terms t, t + 16, ... of four columns, which are the partial sums of column_sum, and the same tree adds those up.
// So c has the bits of the product and the sums have those of column_sum.

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> c: array<f32>;
@group(0) @binding(3) var<storage, read_write> sums: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    m: u32,
    n: u32,
    k: u32,
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}

override OF_A: bool = false;
const SUMS: bool = true;

alias Row = u32;
alias Term = u32;

fn row_of(i: u32) -> Row {
    return i;
}

fn column_of(j: u32) -> u32 {
    return j;
}

fn term_of(k: u32) -> Term {
    return k;
}

fn term_after(k: Term, count: u32) -> Term {
    return k + count;
}

fn rows_are_neighbours() -> bool {
    return true;
}

fn columns_are_neighbours() -> bool {
    return true;
}

fn load_a(i: Row, k: Term) -> f32 {
    return a[k * params.m + i];
}

fn load_b(k: Term, j: u32) -> f32 {
    return b[k * params.n + j];
}

fn begin_at(z: u32) -> vec2<u32> {
    return vec2(0u, params.k);
}

fn store(i: u32, j: u32, sum: f32) {
    if i < params.m && j < params.n {
        c[i * params.n + j] = sum;
    }
}

// Whether it is this workgroup that makes the sums of its columns.
fn has_sums(group: vec3<u32>) -> bool {
    return select(group.y, group.x, OF_A) == 0u;
}

fn summed(of_a: vec4<f32>, of_b: vec4<f32>) -> vec4<f32> {
    return select(of_b, of_a, OF_A);
}

fn store_sum(j: u32, sum: f32) {
    if j < select(params.n, params.m, OF_A) {
        sums[j] = sum;
    }
}

// Adds up what the invocations have of the same columns, and stores it. A tile's memory is free by now.
fn store_sums(group: vec3<u32>, invocation: u32, mine: vec4<f32>) {
    let fours = SIDE * FOURS;
    let stride = fours + 1u;
    let place = place_in_tile(invocation, fours, true);
    let at = place.y * stride + place.x;
    tile_b[at] = mine;
    workgroupBarrier();
    for (var half = SIDE / (2u * FOURS); half > 0u; half /= 2u) {
        if place.y < half {
            tile_b[at] += tile_b[at + half * stride];
        }
        workgroupBarrier();
    }
    if place.y == 0u {
        let sum = tile_b[at];
        let j = (select(group.x, group.y, OF_A) * fours + place.x) * 4u;
        store_sum(j, sum.x);
        store_sum(j + 1u, sum.y);
        store_sum(j + 2u, sum.z);
        store_sum(j + 3u, sum.w);
    }
}
