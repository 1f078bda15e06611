// The sums of a product on a GPU: tiles of a and b in workgroup memory, DEPTH terms at a time.
//
// A workgroup is SIDE x SIDE invocations; each keeps FOURS fours of rows by as many of columns of c in registers.
// The tiles are kept term by term, so that the inner loop reads vectors. One invocation fills a whole vector:
// stores of single components by several would race, as each may write all four. Rows and columns past the edge
// are clamped while loading and skipped while storing; terms past the end are zeros.
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
    return min(j, params.n - 1u);
}

@compute @workgroup_size(SIDE, SIDE)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let group = first_group() + id;
    channel_group = group.z;
    let side = SIDE * 4u * FOURS;
    let fours = SIDE * FOURS;
    let invocations = SIDE * SIDE;
    let invocation = local.y * SIDE + local.x;
    let loads = fours * DEPTH / invocations; // 1 or 2
    let stride = fours + 1u;
    let first_row = group.y * side;
    let first_column = group.x * side;
    var row: array<Row, 8>;
    for (var s = 0u; s < loads; s += 1u) {
        let place = place_in_tile(invocation + s * invocations, fours, rows_are_neighbours());
        let i = first_row + place.x * 4u;
        row[s * 4u] = clamped_row(i);
        row[s * 4u + 1u] = clamped_row(i + 1u);
        row[s * 4u + 2u] = clamped_row(i + 2u);
        row[s * 4u + 3u] = clamped_row(i + 3u);
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
    for (var k = params.k_begin; k < params.k_end; k += DEPTH) {
        for (var s = 0u; s < loads; s += 1u) {
            let place = place_in_tile(invocation + s * invocations, fours, rows_are_neighbours());
            var values = vec4<f32>();
            if k + place.y < params.k_end {
                let t = term_of(k + place.y);
                values.x = load_a(row[s * 4u], t);
                values.y = load_a(row[s * 4u + 1u], t);
                values.z = load_a(row[s * 4u + 2u], t);
                values.w = load_a(row[s * 4u + 3u], t);
            }
            tile_a[place.y * stride + place.x] = values;
        }
        for (var s = 0u; s < loads; s += 1u) {
            let place = place_in_tile(invocation + s * invocations, fours, columns_are_neighbours());
            var values = vec4<f32>();
            if k + place.y < params.k_end {
                let t = term_of(k + place.y);
                let j = first_column + place.x * 4u;
                values.x = load_b(t, clamped_column(j));
                values.y = load_b(t, clamped_column(j + 1u));
                values.z = load_b(t, clamped_column(j + 2u));
                values.w = load_b(t, clamped_column(j + 3u));
            }
            tile_b[place.y * stride + place.x] = values;
        }
        workgroupBarrier();
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
