// `attention` in tiles: weights of 32 positions at a time, whose sums so far fade as the highest score rises (Milakov
// and Gimelshein 2018).

// The scores of column `j` with four rows.
fn scores_of(dots: vec4<f32>, i: u32, j: u32, open: bool) -> vec4<f32> {
    let seen = vec4(open) & sees(vec4(i, i + 1u, i + 2u, i + 3u), vec4(j));
    return select(vec4(HIDDEN), dots * params.scale, seen);
}

fn weights_of(scores: vec4<f32>, high: vec4<f32>) -> vec4<f32> {
    return select(exp(scores - high), vec4<f32>(), scores == vec4(HIDDEN));
}

fn faded(t: Tile, fade: vec4<f32>) -> Tile {
    return Tile(t.x * fade.x, t.y * fade.y, t.z * fade.z, t.w * fade.w);
}

fn divided(t: Tile, total: vec4<f32>) -> Tile {
    let none = vec4(MASKED) & (total == vec4<f32>());
    return Tile(
        select(t.x / total.x, vec4<f32>(), vec4(none.x)),
        select(t.y / total.y, vec4<f32>(), vec4(none.y)),
        select(t.z / total.z, vec4<f32>(), vec4(none.z)),
        select(t.w / total.w, vec4<f32>(), vec4(none.w)),
    );
}

@compute @workgroup_size(8, 8)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let group = first_group() + id;
    let p = place_of(group, SLICE);
    let slice = slice_of(group, SLICE);
    let first = group.x * ROWS;
    let i = first + local.y * 4u;
    let last = params.length - 1u;
    let all = seen_to(min(first + ROWS - 1u, last));
    let mates = local.y * 8u;
    var sums: Sums;
    var high = vec4(HIDDEN);
    // Of this invocation's columns.
    var total = vec4<f32>();
    for (var j = seen_from(first); j < all; j += BLOCK) {
        let dot = dots(false, p, first, j, local);
        let at = j + local.x * 4u + vec4(0u, 1u, 2u, 3u);
        let open = (at < vec4(all)) & !hidden(p, min(at, vec4(last)));
        let x = scores_of(dot.x, i, at.x, open.x);
        let y = scores_of(dot.y, i, at.y, open.y);
        let z = scores_of(dot.z, i, at.z, open.z);
        let w = scores_of(dot.w, i, at.w, open.w);
        partial[mates + local.x] = max(max(x, y), max(z, w));
        workgroupBarrier();
        let before = high;
        for (var mate = 0u; mate < 8u; mate += 1u) {
            high = max(high, partial[mates + mate]);
        }
        let fade = exp(before - high);
        let column = local.x * 32u + local.y;
        let weights = Tile(weights_of(x, high), weights_of(y, high), weights_of(z, high), weights_of(w, high));
        weight[column] = weights.x;
        weight[column + 8u] = weights.y;
        weight[column + 16u] = weights.z;
        weight[column + 24u] = weights.w;
        total = total * fade + ((weights.x + weights.y) + (weights.z + weights.w));
        sums.near = faded(sums.near, fade);
        sums.far = faded(sums.far, fade);
        // Its barriers also show every weight to all.
        mix(true, false, &sums, p, j, slice, local);
    }
    // Those who read maxima are past the last barrier.
    partial[mates + local.x] = total;
    workgroupBarrier();
    total = vec4<f32>();
    for (var mate = 0u; mate < 8u; mate += 1u) {
        total += partial[mates + mate];
    }
    store_sums(false, p, i, slice, local, Sums(divided(sums.near, total), divided(sums.far, total)));
    if (local.x == 0u) & (slice == 0u) {
        let log_sum = high + log(total);
        for (var r = 0u; r < min(4u, params.length - min(i, params.length)); r += 1u) {
            note(p, i + r, log_sum[r]);
        }
    }
}
