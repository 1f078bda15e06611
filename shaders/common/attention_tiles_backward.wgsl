// The gradients of attention in tiles.

// What is known of the queries in four rows, or of that in a column.
fn heard(rows: vec4<f32>, column: f32) -> vec4<f32> {
    return select(rows, vec4(column), OF_KEYS);
}

fn meets(row: u32, column: u32, open: bool) -> vec4<bool> {
    let rows = vec4(row, row + 1u, row + 2u, row + 3u);
    let other = vec4(column);
    return vec4(open) & sees(select(rows, other, OF_KEYS), select(other, rows, OF_KEYS));
}

// Products of a column become weights, and slopes of the scores.
fn weigh(at: u32, s: vec4<f32>, d: vec4<f32>, logs: vec4<f32>, along: vec4<f32>, seen: vec4<bool>) {
    let w = select(vec4<f32>(), exp(s * params.scale - logs), seen);
    weight[at] = w;
    slope[at] = select(vec4<f32>(), w * (d - along) * params.scale, seen);
}

@compute @workgroup_size(8, 8)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let group = first_group() + id;
    let p = place(group, SLICE);
    let slice = slice_of(group, SLICE);
    let first = group.x * ROWS;
    let i = first + local.y * 4u;
    let last = params.length - 1u;
    let row = min(vec4(i, i + 1u, i + 2u, i + 3u), vec4(last));
    let all = min(met_to(min(first + ROWS - 1u, last)), params.met_end);
    let x = known(p, row.x);
    let y = known(p, row.y);
    let z = known(p, row.z);
    let w = known(p, row.w);
    let logs = vec4(x.x, y.x, z.x, w.x);
    let along = vec4(x.y, y.y, z.y, w.y);
    var by_weight: Sums;
    var by_slope: Sums;
    for (var j = max(met_from(first), params.met_begin); j < all; j += BLOCK) {
        let s = dots(false, p, first, j, local);
        let d = dots(true, p, first, j, local);
        let at = j + local.x * 4u + vec4(0u, 1u, 2u, 3u);
        let there = min(at, vec4(last));
        let open = (at < vec4(all)) & (vec4(OF_KEYS) | !hidden(p, there));
        let to = local.x * 32u + local.y;
        let kx = known(p, there.x);
        weigh(to + 0u, s.x, d.x, heard(logs, kx.x), heard(along, kx.y), meets(i, at.x, open.x));
        let ky = known(p, there.y);
        weigh(to + 8u, s.y, d.y, heard(logs, ky.x), heard(along, ky.y), meets(i, at.y, open.y));
        let kz = known(p, there.z);
        weigh(to + 16u, s.z, d.z, heard(logs, kz.x), heard(along, kz.y), meets(i, at.z, open.z));
        let kw = known(p, there.w);
        weigh(to + 24u, s.w, d.w, heard(logs, kw.x), heard(along, kw.y), meets(i, at.w, open.w));
        // Its barriers also show every weight to all.
        if OF_KEYS {
            mix(true, false, &by_weight, p, j, slice, local);
        }
        mix(false, true, &by_slope, p, j, slice, local);
    }
    store_sums(false, p, i, slice, local, by_slope);
    if OF_KEYS {
        store_sums(true, p, i, slice, local, by_weight);
    }
}
