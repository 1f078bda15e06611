// The gradients of attention in tiles.

// Log of the sum of exponentials and D of four neighbouring queries.
struct Four {
    logs: vec4<f32>,
    along: vec4<f32>,
}

fn known_four(p: Place, at: vec4<u32>) -> Four {
    let there = min(at, vec4(params.length - 1u));
    let x = known(p, there.x);
    let y = known(p, there.y);
    let z = known(p, there.z);
    let w = known(p, there.w);
    return Four(vec4(x.x, y.x, z.x, w.x), vec4(x.y, y.y, z.y, w.y));
}

// What is known of the queries in four rows, or of that in a column.
fn heard(rows: vec4<f32>, column: f32) -> vec4<f32> {
    return select(rows, vec4(column), OF_KEYS);
}

fn meets(row: u32, column: u32, open: bool) -> vec4<bool> {
    let rows = vec4(row, row + 1u, row + 2u, row + 3u);
    let other = vec4(column);
    return vec4(open) & sees(select(rows, other, OF_KEYS), select(other, rows, OF_KEYS));
}

// The weights of a column in four rows, of their products.
fn column_weights(s: vec4<f32>, logs: vec4<f32>, seen: vec4<bool>) -> vec4<f32> {
    return select(vec4<f32>(), exp(s * params.scale - logs), seen);
}

fn weights_of(s: Tile, row: u32, rows: Four, columns: Four, at: vec4<u32>, open: vec4<bool>) -> Tile {
    return Tile(
        column_weights(s.x, heard(rows.logs, columns.logs.x), meets(row, at.x, open.x)),
        column_weights(s.y, heard(rows.logs, columns.logs.y), meets(row, at.y, open.y)),
        column_weights(s.z, heard(rows.logs, columns.logs.z), meets(row, at.z, open.z)),
        column_weights(s.w, heard(rows.logs, columns.logs.w), meets(row, at.w, open.w)),
    );
}

// The slopes of the scores; of what is not seen nobody knows the products.
fn column_slopes(w: vec4<f32>, d: vec4<f32>, along: vec4<f32>) -> vec4<f32> {
    return select(w * (d - along) * params.scale, vec4<f32>(), w == vec4<f32>());
}

fn slopes_of(w: Tile, d: Tile, rows: Four, columns: Four) -> Tile {
    return Tile(
        column_slopes(w.x, d.x, heard(rows.along, columns.along.x)),
        column_slopes(w.y, d.y, heard(rows.along, columns.along.y)),
        column_slopes(w.z, d.z, heard(rows.along, columns.along.z)),
        column_slopes(w.w, d.w, heard(rows.along, columns.along.w)),
    );
}

@compute @workgroup_size(16, 8)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let group = first_group() + id;
    let p = place(group, SLICE);
    let slice = slice_of(group, SLICE);
    let first = group.x * ROWS;
    let i = first + local.y * 8u;
    let last = params.length - 1u;
    let all = min(met_to(min(first + ROWS - 1u, last)), params.met_end);
    var upper: Four;
    var lower: Four;
    if !OF_KEYS {
        upper = known_four(p, i + vec4(0u, 1u, 2u, 3u));
        lower = known_four(p, i + vec4(4u, 5u, 6u, 7u));
    }
    var by_weight: Sums;
    var by_slope: Sums;
    for (var j = max(met_from(first), params.met_begin); j < all; j += BLOCK) {
        let end = min(all, j + BLOCK);
        let at = j + local.x + vec4(0u, 16u, 32u, 48u);
        let open = (at < vec4(all)) & (vec4(OF_KEYS) | !hidden(p, min(at, vec4(last))));
        var columns: Four;
        if OF_KEYS {
            columns = known_four(p, at);
        }
        var s = dots(false, p, first, j, local);
        s.upper = weights_of(s.upper, i, upper, columns, at, open);
        s.lower = weights_of(s.lower, i + 4u, lower, columns, at, open);
        if OF_KEYS {
            mix(true, &by_weight, s, p, j, end, slice, local);
        }
        let d = dots(true, p, first, j, local);
        s.upper = slopes_of(s.upper, d.upper, upper, columns);
        s.lower = slopes_of(s.lower, d.lower, lower, columns);
        mix(false, &by_slope, s, p, j, end, slice, local);
    }
    store_sums(false, p, i, slice, local, by_slope);
    if OF_KEYS {
        store_sums(true, p, i, slice, local, by_weight);
    }
}
