// The gradients of attention in lanes.

// Products become weights, and slopes of the scores; `rows` has of each query what `logs` and `along` are.
fn weigh(s: ptr<function, Tile>, d: ptr<function, Tile>, r: u32, logs: vec4<f32>, along: vec4<f32>, seen: vec4<bool>) {
    let w = select(vec4<f32>(), exp((*s)[r] * params.scale - logs), seen);
    (*s)[r] = w;
    (*d)[r] = select(vec4<f32>(), w * ((*d)[r] - along) * params.scale, seen);
}

// What is known of the query in row `r`, as all lanes hear it, or of those in the columns.
fn heard(row: f32, columns: vec4<f32>) -> vec4<f32> {
    return select(vec4(row), columns, OF_KEYS);
}

fn meets(row: u32, column: vec4<u32>) -> vec4<bool> {
    return sees(select(vec4(row), column, OF_KEYS), select(column, vec4(row), OF_KEYS));
}

fn hold_sums(lane: u32, sums: ptr<function, Sums>) {
    hold_row(lane, 0u, (*sums).near[0], (*sums).far[0]);
    hold_row(lane, 1u, (*sums).near[1], (*sums).far[1]);
    hold_row(lane, 2u, (*sums).near[2], (*sums).far[2]);
    hold_row(lane, 3u, (*sums).near[3], (*sums).far[3]);
    hold_row(lane, 4u, (*sums).near[4], (*sums).far[4]);
    hold_row(lane, 5u, (*sums).near[5], (*sums).far[5]);
    hold_row(lane, 6u, (*sums).near[6], (*sums).far[6]);
    hold_row(lane, 7u, (*sums).near[7], (*sums).far[7]);
    hold_row(lane, 8u, (*sums).near[8], (*sums).far[8]);
    hold_row(lane, 9u, (*sums).near[9], (*sums).far[9]);
    hold_row(lane, 10u, (*sums).near[10], (*sums).far[10]);
    hold_row(lane, 11u, (*sums).near[11], (*sums).far[11]);
    hold_row(lane, 12u, (*sums).near[12], (*sums).far[12]);
    hold_row(lane, 13u, (*sums).near[13], (*sums).far[13]);
    hold_row(lane, 14u, (*sums).near[14], (*sums).far[14]);
    hold_row(lane, 15u, (*sums).near[15], (*sums).far[15]);
}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let group = first_group() + id;
    let p = place(group, SLICE);
    let slice = slice_of(group, SLICE);
    let c = channels_of(slice, lane);
    let i = group.x * ROWS;
    let last = params.length - 1u;
    let mine = rows_of(false, p, i, lane);
    let mine_too = rows_of(true, p, i, lane);
    let upper = known(p, min(i + lane, last));
    let lower = known(p, min(i + 8u + lane, last));
    let all = min(met_to(min(i + ROWS - 1u, last)), params.met_end);
    var by_weight: Sums;
    var by_slope: Sums;
    for (var j = max(met_from(i), params.met_begin); j < all; j += BLOCK) {
        let at = j + lane + vec4(0u, 8u, 16u, 24u);
        let there = min(at, vec4(last));
        let open = (at < vec4(all)) & (vec4(OF_KEYS) | !hidden(p, there));
        var logs = vec4<f32>();
        var along = vec4<f32>();
        if OF_KEYS {
            let x = known(p, there.x);
            let y = known(p, there.y);
            let z = known(p, there.z);
            let w = known(p, there.w);
            logs = vec4(x.x, y.x, z.x, w.x);
            along = vec4(x.y, y.y, z.y, w.y);
        }
        var s = dots(false, mine, columns_of(false, p, at));
        var d = dots(true, mine_too, columns_of(true, p, at));
        weigh(
            &s, &d, 0u,
            heard(subgroupBroadcast(upper.x, 0u), logs),
            heard(subgroupBroadcast(upper.y, 0u), along),
            open & meets(i + 0u, at),
        );
        weigh(
            &s, &d, 1u,
            heard(subgroupBroadcast(upper.x, 1u), logs),
            heard(subgroupBroadcast(upper.y, 1u), along),
            open & meets(i + 1u, at),
        );
        weigh(
            &s, &d, 2u,
            heard(subgroupBroadcast(upper.x, 2u), logs),
            heard(subgroupBroadcast(upper.y, 2u), along),
            open & meets(i + 2u, at),
        );
        weigh(
            &s, &d, 3u,
            heard(subgroupBroadcast(upper.x, 3u), logs),
            heard(subgroupBroadcast(upper.y, 3u), along),
            open & meets(i + 3u, at),
        );
        weigh(
            &s, &d, 4u,
            heard(subgroupBroadcast(upper.x, 4u), logs),
            heard(subgroupBroadcast(upper.y, 4u), along),
            open & meets(i + 4u, at),
        );
        weigh(
            &s, &d, 5u,
            heard(subgroupBroadcast(upper.x, 5u), logs),
            heard(subgroupBroadcast(upper.y, 5u), along),
            open & meets(i + 5u, at),
        );
        weigh(
            &s, &d, 6u,
            heard(subgroupBroadcast(upper.x, 6u), logs),
            heard(subgroupBroadcast(upper.y, 6u), along),
            open & meets(i + 6u, at),
        );
        weigh(
            &s, &d, 7u,
            heard(subgroupBroadcast(upper.x, 7u), logs),
            heard(subgroupBroadcast(upper.y, 7u), along),
            open & meets(i + 7u, at),
        );
        weigh(
            &s, &d, 8u,
            heard(subgroupBroadcast(lower.x, 0u), logs),
            heard(subgroupBroadcast(lower.y, 0u), along),
            open & meets(i + 8u, at),
        );
        weigh(
            &s, &d, 9u,
            heard(subgroupBroadcast(lower.x, 1u), logs),
            heard(subgroupBroadcast(lower.y, 1u), along),
            open & meets(i + 9u, at),
        );
        weigh(
            &s, &d, 10u,
            heard(subgroupBroadcast(lower.x, 2u), logs),
            heard(subgroupBroadcast(lower.y, 2u), along),
            open & meets(i + 10u, at),
        );
        weigh(
            &s, &d, 11u,
            heard(subgroupBroadcast(lower.x, 3u), logs),
            heard(subgroupBroadcast(lower.y, 3u), along),
            open & meets(i + 11u, at),
        );
        weigh(
            &s, &d, 12u,
            heard(subgroupBroadcast(lower.x, 4u), logs),
            heard(subgroupBroadcast(lower.y, 4u), along),
            open & meets(i + 12u, at),
        );
        weigh(
            &s, &d, 13u,
            heard(subgroupBroadcast(lower.x, 5u), logs),
            heard(subgroupBroadcast(lower.y, 5u), along),
            open & meets(i + 13u, at),
        );
        weigh(
            &s, &d, 14u,
            heard(subgroupBroadcast(lower.x, 6u), logs),
            heard(subgroupBroadcast(lower.y, 6u), along),
            open & meets(i + 14u, at),
        );
        weigh(
            &s, &d, 15u,
            heard(subgroupBroadcast(lower.x, 7u), logs),
            heard(subgroupBroadcast(lower.y, 7u), along),
            open & meets(i + 15u, at),
        );
        let end = min(j + BLOCK, all);
        if OF_KEYS {
            mix(true, &by_weight, s, p, j, end, c);
        }
        mix(false, &by_slope, d, p, j, end, c);
    }
    hold_sums(lane, &by_slope);
    store_held(p, i, slice, lane, false);
    if OF_KEYS {
        hold_sums(lane, &by_weight);
        store_held(p, i, slice, lane, true);
    }
}
