// The sums of a product with blocks of weights where subgroups have 8 lanes that broadcast to each
// other, and loads cost more than arithmetic.
//
// A subgroup has the WIDTH columns of one list of blocks, and SETS times 16 rows of c: with 4
// columns a lane one set, with fewer of them more, so that a lane has as many sums for what it
// loads. A workgroup is 8 subgroups, one below the other. Of 8 terms each lane looks up the input
// of another, and hears the others' from its neighbours.
override SETS: u32 = 1u; // 32 / WIDTH at most, 4 where WIDTH is 4

// A lane's sums on their way out: common/product_lanes.wgsl says why.
var<workgroup> held: array<f32, 4096>;

fn hold_row(lane: u32, row: u32, sum: vec4<f32>) {
    let at = row * 256u + lane;
    held[at] = sum.x;
    if SETS > 1u || WIDTH > 8u {
        held[at + 64u] = sum.y;
    }
    if SETS * max(WIDTH, 8u) > 16u {
        held[at + 128u] = sum.z;
        held[at + 192u] = sum.w;
    }
}

// The weights of this lane's columns, those of one set after the other's.
fn load_weights(at: u32) -> vec4<f32> {
    var row = vec4(weight_at(at));
    if WIDTH > 8u {
        let next = weight_at(at + 8u);
        row = vec4(row.x, next, row.x, next);
    }
    if WIDTH > 16u {
        row = vec4(row.xy, weight_at(at + 16u), weight_at(at + 24u));
    }
    return row;
}

// One row of each set.
fn load_rows(begins: vec4<u32>, x: u32) -> vec4<f32> {
    var rows = vec4(a[begins.x + x], 0.0, 0.0, 0.0);
    if SETS > 1u {
        rows.y = a[begins.y + x];
    }
    if SETS > 2u {
        rows.z = a[begins.z + x];
        rows.w = a[begins.w + x];
    }
    return rows;
}

// What of each set goes with the weights of load_weights.
fn spread(rows: vec4<f32>) -> vec4<f32> {
    return select(select(rows, rows.xxyy, WIDTH > 8u), rows.xxxx, WIDTH > 16u);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(local_invocation_index) local: u32,
) {
    let group = first_group() + id;
    let terms = terms_of(group.x);
    let i = (group.y * 8u + subgroup) * 16u * SETS;
    // The same in all lanes of a subgroup, which may then broadcast.
    if i >= params.m {
        return;
    }
    let column = lane % WIDTH;
    let r = i + lane;
    let upper = vec4(row_at(r), row_at(r + 16u), row_at(r + 32u), row_at(r + 48u));
    let lower = vec4(row_at(r + 8u), row_at(r + 24u), row_at(r + 40u), row_at(r + 56u));
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var s4 = vec4<f32>();
    var s5 = vec4<f32>();
    var s6 = vec4<f32>();
    var s7 = vec4<f32>();
    var s8 = vec4<f32>();
    var s9 = vec4<f32>();
    var s10 = vec4<f32>();
    var s11 = vec4<f32>();
    var s12 = vec4<f32>();
    var s13 = vec4<f32>();
    var s14 = vec4<f32>();
    var s15 = vec4<f32>();
    for (var first = terms.x; first < terms.y; first += 8u) {
        let own = input_at(min(first + lane, terms.y - 1u));
        let count = min(terms.y - first, 8u);
        for (var t = 0u; t < count; t += 1u) {
            let x = subgroupShuffle(own, t);
            let row = load_weights((first + t) * WIDTH + column);
            let u = load_rows(upper, x);
            let l = load_rows(lower, x);
            s0 = fma(spread(subgroupBroadcast(u, 0u)), row, s0);
            s1 = fma(spread(subgroupBroadcast(u, 1u)), row, s1);
            s2 = fma(spread(subgroupBroadcast(u, 2u)), row, s2);
            s3 = fma(spread(subgroupBroadcast(u, 3u)), row, s3);
            s4 = fma(spread(subgroupBroadcast(u, 4u)), row, s4);
            s5 = fma(spread(subgroupBroadcast(u, 5u)), row, s5);
            s6 = fma(spread(subgroupBroadcast(u, 6u)), row, s6);
            s7 = fma(spread(subgroupBroadcast(u, 7u)), row, s7);
            s8 = fma(spread(subgroupBroadcast(l, 0u)), row, s8);
            s9 = fma(spread(subgroupBroadcast(l, 1u)), row, s9);
            s10 = fma(spread(subgroupBroadcast(l, 2u)), row, s10);
            s11 = fma(spread(subgroupBroadcast(l, 3u)), row, s11);
            s12 = fma(spread(subgroupBroadcast(l, 4u)), row, s12);
            s13 = fma(spread(subgroupBroadcast(l, 5u)), row, s13);
            s14 = fma(spread(subgroupBroadcast(l, 6u)), row, s14);
            s15 = fma(spread(subgroupBroadcast(l, 7u)), row, s15);
        }
    }
    hold_row(local, 0u, s0);
    hold_row(local, 1u, s1);
    hold_row(local, 2u, s2);
    hold_row(local, 3u, s3);
    hold_row(local, 4u, s4);
    hold_row(local, 5u, s5);
    hold_row(local, 6u, s6);
    hold_row(local, 7u, s7);
    hold_row(local, 8u, s8);
    hold_row(local, 9u, s9);
    hold_row(local, 10u, s10);
    hold_row(local, 11u, s11);
    hold_row(local, 12u, s12);
    hold_row(local, 13u, s13);
    hold_row(local, 14u, s14);
    hold_row(local, 15u, s15);
    let columns = max(WIDTH / 8u, 1u);
    // The columns of a lane past the block are another's.
    let j = select(params.n, group.x * WIDTH + lane, lane < WIDTH);
    // A number that no compiler sees through.
    let count = subgroupBroadcast(min(params.m - i, 16u) * columns * SETS, 0u);
    for (var e = 0u; e < count; e += 1u) {
        let row = e / (columns * SETS);
        let place = e % (columns * SETS);
        let below = place / columns * 16u;
        store(i + row + below, j + place % columns * 8u, held[row * 256u + place * 64u + local]);
    }
}
