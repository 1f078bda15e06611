// `attention` in lanes: weights of 32 positions at a time, whose sums so far fade as the highest score rises (Milakov
// and Gimelshein 2018).

struct Softened {
    high: array<f32, 16>, // the highest score of each row; the same in all lanes
    total: array<f32, 16>, // sum of the weights in this lane's columns
}

fn lanes_max(x: f32) -> f32 {
    let y = max(x, subgroupShuffleXor(x, 4u));
    let z = max(y, subgroupShuffleXor(y, 2u));
    return max(z, subgroupShuffleXor(z, 1u));
}

fn lanes_sum(x: f32) -> f32 {
    let y = x + subgroupShuffleXor(x, 4u);
    let z = y + subgroupShuffleXor(y, 2u);
    return z + subgroupShuffleXor(z, 1u);
}

// Where a row begins: with nothing, or with what an earlier launch left, as one column of that weight.
fn begin(t: ptr<function, Softened>, sums: ptr<function, Sums>, r: u32, p: Place, i: u32, c: Channels, lane: u32) {
    var high = HIDDEN;
    if RESUMED {
        let at = min(i + r, params.length - 1u);
        high = log_so_far(p, at);
        (*t).total[r] = select(0.0, 1.0, (lane == 0u) & (high != HIDDEN));
        (*sums).near[r] = so_far(p, at, c.near);
        if SLICE > 32u {
            (*sums).far[r] = so_far(p, at, c.far);
        }
    }
    (*t).high[r] = high;
}

fn so_far(p: Place, at: u32, channels: vec4<u32>) -> vec4<f32> {
    let there = vec4(result(p, at)) + channels;
    return vec4(out[there.x], out[there.y], out[there.z], out[there.w]);
}

// The row's scores become weights.
fn soften(t: ptr<function, Softened>, sums: ptr<function, Sums>, s: ptr<function, Tile>, r: u32, seen: vec4<bool>) {
    let scores = select(vec4(HIDDEN), (*s)[r] * params.scale, seen);
    let before = (*t).high[r];
    let high = max(before, lanes_max(max(max(scores.x, scores.y), max(scores.z, scores.w))));
    let fade = exp(before - high);
    let w = select(vec4<f32>(), exp(scores - high), seen);
    (*t).high[r] = high;
    (*t).total[r] = (*t).total[r] * fade + ((w.x + w.y) + (w.z + w.w));
    (*s)[r] = w;
    (*sums).near[r] *= fade;
    if SLICE > 32u {
        (*sums).far[r] *= fade;
    }
}

// The row's result is held, and its logarithm goes to the lane that stores it.
fn finish(t: ptr<function, Softened>, sums: ptr<function, Sums>, lane: u32, r: u32, noted: vec2<f32>) -> vec2<f32> {
    let total = lanes_sum((*t).total[r]);
    // Nobody is seen, here or so far.
    let none = vec4(total == 0.0);
    let near = select((*sums).near[r] / total, vec4<f32>(), none);
    let far = select((*sums).far[r] / total, vec4<f32>(), none);
    hold_row(lane, r, near, far);
    return select(noted, vec2((*t).high[r], total), lane == r % 8u);
}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let group = first_group() + id;
    let p = place_of(group, SLICE);
    let slice = slice_of(group, SLICE);
    let c = channels_of(slice, lane);
    let i = group.x * ROWS;
    let last = params.length - 1u;
    let rows = rows_of(false, p, i, lane);
    let all = min(seen_to(min(i + ROWS - 1u, last)), params.met_end);
    var sums: Sums;
    var t: Softened;
    begin(&t, &sums, 0u, p, i, c, lane);
    begin(&t, &sums, 1u, p, i, c, lane);
    begin(&t, &sums, 2u, p, i, c, lane);
    begin(&t, &sums, 3u, p, i, c, lane);
    begin(&t, &sums, 4u, p, i, c, lane);
    begin(&t, &sums, 5u, p, i, c, lane);
    begin(&t, &sums, 6u, p, i, c, lane);
    begin(&t, &sums, 7u, p, i, c, lane);
    begin(&t, &sums, 8u, p, i, c, lane);
    begin(&t, &sums, 9u, p, i, c, lane);
    begin(&t, &sums, 10u, p, i, c, lane);
    begin(&t, &sums, 11u, p, i, c, lane);
    begin(&t, &sums, 12u, p, i, c, lane);
    begin(&t, &sums, 13u, p, i, c, lane);
    begin(&t, &sums, 14u, p, i, c, lane);
    begin(&t, &sums, 15u, p, i, c, lane);
    for (var j = max(seen_from(i), params.met_begin); j < all; j += BLOCK) {
        let at = j + lane + vec4(0u, 8u, 16u, 24u);
        let open = (at < vec4(all)) & !hidden(p, min(at, vec4(last)));
        var s = dots(false, rows, columns_of(false, p, at));
        soften(&t, &sums, &s, 0u, open & sees(vec4(i + 0u), at));
        soften(&t, &sums, &s, 1u, open & sees(vec4(i + 1u), at));
        soften(&t, &sums, &s, 2u, open & sees(vec4(i + 2u), at));
        soften(&t, &sums, &s, 3u, open & sees(vec4(i + 3u), at));
        soften(&t, &sums, &s, 4u, open & sees(vec4(i + 4u), at));
        soften(&t, &sums, &s, 5u, open & sees(vec4(i + 5u), at));
        soften(&t, &sums, &s, 6u, open & sees(vec4(i + 6u), at));
        soften(&t, &sums, &s, 7u, open & sees(vec4(i + 7u), at));
        soften(&t, &sums, &s, 8u, open & sees(vec4(i + 8u), at));
        soften(&t, &sums, &s, 9u, open & sees(vec4(i + 9u), at));
        soften(&t, &sums, &s, 10u, open & sees(vec4(i + 10u), at));
        soften(&t, &sums, &s, 11u, open & sees(vec4(i + 11u), at));
        soften(&t, &sums, &s, 12u, open & sees(vec4(i + 12u), at));
        soften(&t, &sums, &s, 13u, open & sees(vec4(i + 13u), at));
        soften(&t, &sums, &s, 14u, open & sees(vec4(i + 14u), at));
        soften(&t, &sums, &s, 15u, open & sees(vec4(i + 15u), at));
        mix(true, &sums, s, p, j, min(j + BLOCK, all), c);
    }
    var upper = vec2<f32>();
    var lower = vec2<f32>();
    upper = finish(&t, &sums, lane, 0u, upper);
    upper = finish(&t, &sums, lane, 1u, upper);
    upper = finish(&t, &sums, lane, 2u, upper);
    upper = finish(&t, &sums, lane, 3u, upper);
    upper = finish(&t, &sums, lane, 4u, upper);
    upper = finish(&t, &sums, lane, 5u, upper);
    upper = finish(&t, &sums, lane, 6u, upper);
    upper = finish(&t, &sums, lane, 7u, upper);
    lower = finish(&t, &sums, lane, 8u, lower);
    lower = finish(&t, &sums, lane, 9u, lower);
    lower = finish(&t, &sums, lane, 10u, lower);
    lower = finish(&t, &sums, lane, 11u, lower);
    lower = finish(&t, &sums, lane, 12u, lower);
    lower = finish(&t, &sums, lane, 13u, lower);
    lower = finish(&t, &sums, lane, 14u, lower);
    lower = finish(&t, &sums, lane, 15u, lower);
    store_held(p, i, slice, lane, false);
    let log_sums = log_of(vec4(upper.x, lower.x, 0.0, 0.0), vec4(upper.y, lower.y, 0.0, 0.0));
    if (slice == 0u) & (i + lane <= last) {
        note(p, i + lane, log_sums.x);
    }
    if (slice == 0u) & (i + 8u + lane <= last) {
        note(p, i + 8u + lane, log_sums.y);
    }
}
