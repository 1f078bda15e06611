// `attention` in tiles: weights of 64 positions at a time, whose sums so far fade as the highest score rises (Milakov
// and Gimelshein 2018).

// The sum of what all columns of invocations have of each row, or the most.
fn across(rows: Rows, local: vec3<u32>, sum: bool) -> Rows {
    let mine = local.x * STRIDE + local.y * 2u;
    tile[mine] = rows.upper;
    tile[mine + 1u] = rows.lower;
    workgroupBarrier();
    // An invocation has one row, and half of these columns.
    let row = local.y * 2u + ((local.x >> 2u) & 1u);
    let first = local.x & 8u;
    var one = tile[first * STRIDE + row][local.x & 3u];
    for (var column = first + 1u; column < first + 8u; column += 1u) {
        let next = tile[column * STRIDE + row][local.x & 3u];
        one = select(max(one, next), one + next, sum);
    }
    found[local.y * 16u + local.x] = one;
    workgroupBarrier();
    let at = local.y * 16u;
    let upper = vec4(found[at], found[at + 1u], found[at + 2u], found[at + 3u]);
    let lower = vec4(found[at + 4u], found[at + 5u], found[at + 6u], found[at + 7u]);
    let upper_too = vec4(found[at + 8u], found[at + 9u], found[at + 10u], found[at + 11u]);
    let lower_too = vec4(found[at + 12u], found[at + 13u], found[at + 14u], found[at + 15u]);
    return Rows(
        select(max(upper, upper_too), upper + upper_too, sum),
        select(max(lower, lower_too), lower + lower_too, sum),
    );
}

// The scores of a column with four rows.
fn column_scores(dots: vec4<f32>, i: u32, j: u32, open: bool) -> vec4<f32> {
    let seen = vec4(open) & sees(vec4(i, i + 1u, i + 2u, i + 3u), vec4(j));
    return select(vec4(HIDDEN), dots * params.scale, seen);
}

fn scores_of(dots: Tile, i: u32, at: vec4<u32>, open: vec4<bool>) -> Tile {
    let x = column_scores(dots.x, i, at.x, open.x);
    let y = column_scores(dots.y, i, at.y, open.y);
    return Tile(x, y, column_scores(dots.z, i, at.z, open.z), column_scores(dots.w, i, at.w, open.w));
}

fn highest(scores: Tile) -> vec4<f32> {
    return max(max(scores.x, scores.y), max(scores.z, scores.w));
}

fn column_weights(scores: vec4<f32>, high: vec4<f32>) -> vec4<f32> {
    return select(exp(scores - high), vec4<f32>(), scores == vec4(HIDDEN));
}

fn weights_of(scores: Tile, high: vec4<f32>) -> Tile {
    let x = column_weights(scores.x, high);
    let y = column_weights(scores.y, high);
    return Tile(x, y, column_weights(scores.z, high), column_weights(scores.w, high));
}

fn sum_of(weights: Tile) -> vec4<f32> {
    return (weights.x + weights.y) + (weights.z + weights.w);
}

// Each row times a number of its own.
fn scaled(rows: Tile, by: vec4<f32>) -> Tile {
    return Tile(rows.x * by.x, rows.y * by.y, rows.z * by.z, rows.w * by.w);
}

// Where there is nothing to divide by nobody is seen, and the result is 0.
fn divided(rows: Tile, total: vec4<f32>) -> Tile {
    let none = total == vec4<f32>();
    return Tile(
        select(rows.x / total.x, vec4<f32>(), vec4(none.x)),
        select(rows.y / total.y, vec4<f32>(), vec4(none.y)),
        select(rows.z / total.z, vec4<f32>(), vec4(none.z)),
        select(rows.w / total.w, vec4<f32>(), vec4(none.w)),
    );
}

fn row_so_far(p: Place, at: u32, channel: u32) -> vec4<f32> {
    let c = min(vec4(channel, channel + 16u, channel + 32u, channel + 48u), vec4(params.width - 1u));
    let begin = result(p, min(at, params.length - 1u));
    return vec4(out[begin + c.x], out[begin + c.y], out[begin + c.z], out[begin + c.w]);
}

fn rows_so_far(p: Place, i: u32, channel: u32) -> Tile {
    let x = row_so_far(p, i, channel);
    let y = row_so_far(p, i + 1u, channel);
    return Tile(x, y, row_so_far(p, i + 2u, channel), row_so_far(p, i + 3u, channel));
}

fn logs_so_far(p: Place, i: u32) -> vec4<f32> {
    let at = min(vec4(i, i + 1u, i + 2u, i + 3u), vec4(params.length - 1u));
    return vec4(log_so_far(p, at.x), log_so_far(p, at.y), log_so_far(p, at.z), log_so_far(p, at.w));
}

fn note_rows(p: Place, i: u32, high: vec4<f32>, total: vec4<f32>) {
    let log_sum = log_of(high, total);
    for (var r = 0u; r < min(4u, params.length - min(i, params.length)); r += 1u) {
        note(p, i + r, log_sum[r]);
    }
}

@compute @workgroup_size(16, 8)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let group = first_group() + id;
    let p = place_of(group, SLICE);
    let slice = slice_of(group, SLICE);
    let first = group.x * ROWS;
    let i = first + local.y * 8u;
    let last = params.length - 1u;
    let all = min(seen_to(min(first + ROWS - 1u, last)), params.met_end);
    var sums: Sums;
    var high = Rows(vec4(HIDDEN), vec4(HIDDEN));
    // Of this invocation's columns.
    var total: Rows;
    if RESUMED {
        let channel = slice + local.x;
        sums.upper = rows_so_far(p, i, channel);
        sums.lower = rows_so_far(p, i + 4u, channel);
        if SLICE > 64u {
            sums.far_upper = rows_so_far(p, i, channel + 64u);
            sums.far_lower = rows_so_far(p, i + 4u, channel + 64u);
        }
        high = Rows(logs_so_far(p, i), logs_so_far(p, i + 4u));
        let is_first = vec4(local.x == 0u);
        total.upper = select(vec4<f32>(), vec4(1.0), is_first & (high.upper != vec4(HIDDEN)));
        total.lower = select(vec4<f32>(), vec4(1.0), is_first & (high.lower != vec4(HIDDEN)));
    }
    for (var j = max(seen_from(first), params.met_begin); j < all; j += BLOCK) {
        var s = dots(false, p, first, j, local);
        let at = j + local.x + vec4(0u, 16u, 32u, 48u);
        let open = (at < vec4(all)) & !hidden(p, min(at, vec4(last)));
        s.upper = scores_of(s.upper, i, at, open);
        s.lower = scores_of(s.lower, i + 4u, at, open);
        let before = high;
        let most = across(Rows(highest(s.upper), highest(s.lower)), local, false);
        high = Rows(max(before.upper, most.upper), max(before.lower, most.lower));
        let fade = Rows(exp(before.upper - high.upper), exp(before.lower - high.lower));
        s.upper = weights_of(s.upper, high.upper);
        s.lower = weights_of(s.lower, high.lower);
        total.upper = total.upper * fade.upper + sum_of(s.upper);
        total.lower = total.lower * fade.lower + sum_of(s.lower);
        sums.upper = scaled(sums.upper, fade.upper);
        sums.lower = scaled(sums.lower, fade.lower);
        if SLICE > 64u {
            sums.far_upper = scaled(sums.far_upper, fade.upper);
            sums.far_lower = scaled(sums.far_lower, fade.lower);
        }
        mix(true, &sums, s, p, j, min(all, j + BLOCK), slice, local);
    }
    total = across(total, local, true);
    sums.upper = divided(sums.upper, total.upper);
    sums.lower = divided(sums.lower, total.lower);
    if SLICE > 64u {
        sums.far_upper = divided(sums.far_upper, total.upper);
        sums.far_lower = divided(sums.far_lower, total.lower);
    }
    store_sums(false, p, i, slice, local, sums);
    if (local.x == 0u) & (slice == 0u) {
        note_rows(p, i, high.upper, total.upper);
        note_rows(p, i + 4u, high.lower, total.lower);
    }
}
