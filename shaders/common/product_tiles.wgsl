// The sums of a product on a GPU: tiles of a and b in workgroup memory, DEPTH terms at a time.
//
// A workgroup is SIDE x SIDE invocations; each keeps FOURS fours of rows by as many of columns of c in registers.
// The tiles are kept term by term, so that the inner loop reads vectors. One invocation fills a whole vector:
// stores of single components by several would race, as each may write all four. The next tile's vectors, one of each
// tile or two, are loaded into registers while a tile is used. Rows and columns past the edge are clamped while loading
// and skipped while storing; terms past the end are zeros. Another file says whether what is staged is also added up:
// no_sums.wgsl, or weight_gradient.wgsl.
override SIDE: u32 = 16u;
override FOURS: u32 = 1u; // or 2
override DEPTH: u32 = 16u;

// As long as the longest tile needs, with a vector more a term against clashes between banks.
var<workgroup> tile_a: array<vec4<f32>, 272>;
var<workgroup> tile_b: array<vec4<f32>, 272>;

fn store_row(i: u32, j: u32, sum: vec4<f32>) {
    store(i, j, sum.x);
    store(i, j + 1u, sum.y);
    store(i, j + 2u, sum.z);
    store(i, j + 3u, sum.w);
}

// Vector `v` of a tile that is `fours` vectors wide: which four of its side it holds, of which term. Neighbouring
// invocations load neighbouring words: along the side, or along the terms.
fn place_in_tile(v: u32, fours: u32, along_side: bool) -> vec2<u32> {
    if along_side {
        return vec2(v % fours, v / fours);
    }
    return vec2(v / DEPTH, v % DEPTH);
}

fn clamped_row(i: u32) -> Row {
    return row_of(min(i, params.m - 1u));
}

fn clamped_column(j: u32) -> u32 {
    return column_of(min(j, params.n - 1u));
}

// Neighbouring rows of c.
struct FourRows {
    x: Row,
    y: Row,
    z: Row,
    w: Row,
}

fn four_rows(i: u32) -> FourRows {
    return FourRows(clamped_row(i), clamped_row(i + 1u), clamped_row(i + 2u), clamped_row(i + 3u));
}

// What four rows have of term `t`, the k-th; zeros past `end`.
fn four_of_a(rows: FourRows, k: u32, end: u32, t: Term) -> vec4<f32> {
    if k >= end {
        return vec4<f32>();
    }
    return vec4(load_a(rows.x, t), load_a(rows.y, t), load_a(rows.z, t), load_a(rows.w, t));
}

// The same of four columns from `j` on.
fn four_of_b(j: u32, k: u32, end: u32, t: Term) -> vec4<f32> {
    if k >= end {
        return vec4<f32>();
    }
    return vec4(
        load_b(t, clamped_column(j)),
        load_b(t, clamped_column(j + 1u)),
        load_b(t, clamped_column(j + 2u)),
        load_b(t, clamped_column(j + 3u)),
    );
}

@compute @workgroup_size(SIDE, SIDE)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let group = first_group() + id;
    let side = SIDE * 4u * FOURS;
    let fours = SIDE * FOURS;
    let invocations = SIDE * SIDE;
    let invocation = local.y * SIDE + local.x;
    let two = fours * DEPTH > invocations; // vectors of each tile that an invocation loads, or one
    let stride = fours + 1u;
    let first_row = group.y * side;
    let first_column = group.x * side;
    let terms = terms_of_sums(begin_at(group.z), first_row, side, first_column, side);
    let first_a = place_in_tile(invocation, fours, rows_are_neighbours());
    let first_b = place_in_tile(invocation, fours, columns_are_neighbours());
    let rows = four_rows(first_row + first_a.x * 4u);
    let column = first_column + first_b.x * 4u;
    let start = next_tile(terms.x, terms, first_column, side, DEPTH);
    var t_a = term_of(start + first_a.y);
    var t_b = term_of(start + first_b.y);
    var next_a = four_of_a(rows, start + first_a.y, terms.y, t_a);
    var next_b = four_of_b(column, start + first_b.y, terms.y, t_b);
    var second_a = vec2<u32>();
    var second_b = vec2<u32>();
    var more_rows = rows;
    var u_a = t_a;
    var u_b = t_b;
    var further_a = vec4<f32>();
    var further_b = vec4<f32>();
    if two {
        second_a = place_in_tile(invocation + invocations, fours, rows_are_neighbours());
        second_b = place_in_tile(invocation + invocations, fours, columns_are_neighbours());
        more_rows = four_rows(first_row + second_a.x * 4u);
        u_a = term_of(start + second_a.y);
        u_b = term_of(start + second_b.y);
        further_a = four_of_a(more_rows, start + second_a.y, terms.y, u_a);
        further_b = four_of_b(first_column + second_b.x * 4u, start + second_b.y, terms.y, u_b);
    }
    var s0 = vec4<f32>();
    var w0 = vec4<f32>();
    var s1 = vec4<f32>();
    var w1 = vec4<f32>();
    var s2 = vec4<f32>();
    var w2 = vec4<f32>();
    var s3 = vec4<f32>();
    var w3 = vec4<f32>();
    var s4 = vec4<f32>();
    var w4 = vec4<f32>();
    var s5 = vec4<f32>();
    var w5 = vec4<f32>();
    var s6 = vec4<f32>();
    var w6 = vec4<f32>();
    var s7 = vec4<f32>();
    var w7 = vec4<f32>();
    // Of the terms in both halves of a tile, where there are two vectors.
    var sums_of_first = vec4<f32>();
    var sums_of_second = vec4<f32>();
    var k = start;
    while k < terms.y {
        if SUMS {
            if has_sums(group) {
                sums_of_first += summed(next_a, next_b);
                sums_of_second += summed(further_a, further_b);
            }
        }
        tile_a[first_a.y * stride + first_a.x] = next_a;
        tile_b[first_b.y * stride + first_b.x] = next_b;
        if two {
            tile_a[second_a.y * stride + second_a.x] = further_a;
            tile_b[second_b.y * stride + second_b.x] = further_b;
        }
        workgroupBarrier();
        // What comes next is on its way while these terms are added up.
        let next = next_tile(k + DEPTH, terms, first_column, side, DEPTH);
        if next < terms.y {
            // A number known beforehand where every tile counts.
            let step = select(next - k, DEPTH, SKIPS == 0u);
            t_a = term_after(t_a, step);
            t_b = term_after(t_b, step);
            next_a = four_of_a(rows, next + first_a.y, terms.y, t_a);
            next_b = four_of_b(column, next + first_b.y, terms.y, t_b);
            if two {
                u_a = term_after(u_a, step);
                u_b = term_after(u_b, step);
                further_a = four_of_a(more_rows, next + second_a.y, terms.y, u_a);
                further_b = four_of_b(first_column + second_b.x * 4u, next + second_b.y, terms.y, u_b);
            }
        }
        for (var t = 0u; t < DEPTH; t += 1u) {
            let a = tile_a[t * stride + local.y];
            let b = tile_b[t * stride + local.x];
            s0 = fma(vec4(a.x), b, s0);
            s1 = fma(vec4(a.y), b, s1);
            s2 = fma(vec4(a.z), b, s2);
            s3 = fma(vec4(a.w), b, s3);
            if FOURS > 1u {
                let below = tile_a[t * stride + SIDE + local.y];
                s4 = fma(vec4(below.x), b, s4);
                s5 = fma(vec4(below.y), b, s5);
                s6 = fma(vec4(below.z), b, s6);
                s7 = fma(vec4(below.w), b, s7);
                let beside = tile_b[t * stride + SIDE + local.x];
                w0 = fma(vec4(a.x), beside, w0);
                w1 = fma(vec4(a.y), beside, w1);
                w2 = fma(vec4(a.z), beside, w2);
                w3 = fma(vec4(a.w), beside, w3);
                w4 = fma(vec4(below.x), beside, w4);
                w5 = fma(vec4(below.y), beside, w5);
                w6 = fma(vec4(below.z), beside, w6);
                w7 = fma(vec4(below.w), beside, w7);
            }
        }
        workgroupBarrier();
        k = next;
    }
    if SUMS {
        if has_sums(group) {
            store_sums(group, invocation, sums_of_first + sums_of_second);
        }
    }
    let i = first_row + local.y * 4u;
    let j = first_column + local.x * 4u;
    store_row(i, j, s0);
    store_row(i + 1u, j, s1);
    store_row(i + 2u, j, s2);
    store_row(i + 3u, j, s3);
    if FOURS > 1u {
        let below = i + SIDE * 4u;
        let beside = j + SIDE * 4u;
        store_row(below, j, s4);
        store_row(i, beside, w0);
        store_row(below, beside, w4);
        store_row(below + 1u, j, s5);
        store_row(i + 1u, beside, w1);
        store_row(below + 1u, beside, w5);
        store_row(below + 2u, j, s6);
        store_row(i + 2u, beside, w2);
        store_row(below + 2u, beside, w6);
        store_row(below + 3u, j, s7);
        store_row(i + 3u, beside, w3);
        store_row(below + 3u, beside, w7);
    }
}
