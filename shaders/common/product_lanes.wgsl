// The sums of a product where subgroups have 8 lanes that broadcast to each other, and loads cost more than arithmetic.
//
// A subgroup has 16 rows and 8 x COLUMNS columns of c: each lane loads two of the rows' a and its columns' b, once,
// and hears the other rows' from its neighbours. A workgroup is 8 subgroups, one below the other. Bits of a mask are
// loaded for several terms at once: of columns that are neighbours each lane has those of another term, else each lane
// has its own columns' of up to 32 terms.
override COLUMNS: u32 = 4u;

// A lane's sums on their way out, for one loop to store: 64 stores one by one, each with what is done to a sum, take a
// driver's compiler two to four times as long. Each lane reads back its own only, so nobody waits.
var<workgroup> held: array<f32, 4096>;

fn hold_row(lane: u32, row: u32, sum: vec4<f32>) {
    let at = row * 256u + lane;
    held[at] = sum.x;
    if COLUMNS > 1u {
        held[at + 64u] = sum.y;
    }
    if COLUMNS > 2u {
        held[at + 128u] = sum.z;
        held[at + 192u] = sum.w;
    }
}

fn load_row(t: Term, j: vec4<u32>) -> vec4<f32> {
    var row = vec4(value_in_b(place_in_b(t, j.x)), 0.0, 0.0, 0.0);
    if COLUMNS > 1u {
        row.y = value_in_b(place_in_b(t, j.y));
    }
    if COLUMNS > 2u {
        row.z = value_in_b(place_in_b(t, j.z));
        row.w = value_in_b(place_in_b(t, j.w));
    }
    return row;
}

// The bits of the 32 places from `at` on, lowest first.
fn bits_from(at: u32) -> u32 {
    let shift = at & 31u;
    let next = word_of_mask(at / 32u + 1u);
    // A shift by 32 would be none.
    return (word_of_mask(at / 32u) >> shift) | ((next << 1u) << (31u - shift));
}

fn load_bits(k: u32, end: u32, t: Term, j: vec4<u32>, first: u32, lane: u32) -> vec4<u32> {
    if columns_are_neighbours() {
        let term = min(k + lane, end - 1u);
        return vec4(bits_from(place_in_b(term_of(term), first)), 0u, 0u, 0u);
    }
    var bits = vec4(bits_from(place_in_b(t, j.x)), 0u, 0u, 0u);
    if COLUMNS > 1u {
        bits.y = bits_from(place_in_b(t, j.y));
    }
    if COLUMNS > 2u {
        bits.z = bits_from(place_in_b(t, j.z));
        bits.w = bits_from(place_in_b(t, j.w));
    }
    return bits;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
    @builtin(local_invocation_index) local: u32,
) {
    let group = first_group() + id;
    let i = (group.y * 8u + subgroup) * 16u;
    // The same in all lanes of a subgroup, which may then broadcast.
    if i >= params.m {
        return;
    }
    let terms = terms_of_sums(begin_at(group.z), i, 16u, group.x * 8u * COLUMNS, 8u * COLUMNS);
    let j = group.x * 8u * COLUMNS + lane + vec4(0u, 8u, 16u, 24u);
    let last = params.m - 1u;
    let upper = row_of(min(i + lane, last));
    let lower = row_of(min(i + 8u + lane, last));
    let clamped = min(j, vec4(params.n - 1u));
    let jj = vec4(
        column_of(clamped.x),
        column_of(clamped.y),
        column_of(clamped.z),
        column_of(clamped.w),
    );
    let of_lane = vec4(1u) << (lane + vec4(0u, 8u, 16u, 24u));
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
    var t = term_of(terms.x);
    var k = terms.x;
    while k < terms.y {
        var end = terms.y;
        if SKIPS == 1u || SKIPS == 2u {
            let first = group.x * 8u * COLUMNS;
            let found = next_live(k, terms.y, first, 8u * COLUMNS);
            t = term_after(t, found - k);
            k = found;
            end = min(end, k + live_run(min(k, terms.y - 1u), first, 8u * COLUMNS));
        }
        var bits = vec4<u32>();
        if MASKED {
            bits = load_bits(k, terms.y, t, jj, group.x * 8u * COLUMNS, lane);
            end = min(end, k + select(min(neighbours(t), 32u), 8u, columns_are_neighbours()));
        }
        let begin = k;
        for (; k < end; k += 1u) {
            var row = load_row(t, jj);
            if MASKED && columns_are_neighbours() {
                let word = vec4(subgroupShuffle(bits.x, k - begin));
                row = select(vec4<f32>(), row, (word & of_lane) != vec4<u32>());
            } else if MASKED {
                row = select(vec4<f32>(), row, (bits & vec4(1u)) != vec4<u32>());
                bits = bits >> vec4(1u);
            }
            let u = load_a(upper, t);
            let l = load_a(lower, t);
            s0 = fma(vec4(subgroupBroadcast(u, 0u)), row, s0);
            s1 = fma(vec4(subgroupBroadcast(u, 1u)), row, s1);
            s2 = fma(vec4(subgroupBroadcast(u, 2u)), row, s2);
            s3 = fma(vec4(subgroupBroadcast(u, 3u)), row, s3);
            s4 = fma(vec4(subgroupBroadcast(u, 4u)), row, s4);
            s5 = fma(vec4(subgroupBroadcast(u, 5u)), row, s5);
            s6 = fma(vec4(subgroupBroadcast(u, 6u)), row, s6);
            s7 = fma(vec4(subgroupBroadcast(u, 7u)), row, s7);
            s8 = fma(vec4(subgroupBroadcast(l, 0u)), row, s8);
            s9 = fma(vec4(subgroupBroadcast(l, 1u)), row, s9);
            s10 = fma(vec4(subgroupBroadcast(l, 2u)), row, s10);
            s11 = fma(vec4(subgroupBroadcast(l, 3u)), row, s11);
            s12 = fma(vec4(subgroupBroadcast(l, 4u)), row, s12);
            s13 = fma(vec4(subgroupBroadcast(l, 5u)), row, s13);
            s14 = fma(vec4(subgroupBroadcast(l, 6u)), row, s14);
            s15 = fma(vec4(subgroupBroadcast(l, 7u)), row, s15);
            t = next_term(t);
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
    // A number that no compiler sees through, or it would write them one by one after all.
    let count = subgroupBroadcast(min(params.m - i, 16u) * COLUMNS, 0u);
    for (var e = 0u; e < count; e += 1u) {
        let row = e / COLUMNS;
        let column = e % COLUMNS;
        store(i + row, j.x + column * 8u, held[row * 256u + column * 64u + local]);
    }
}
