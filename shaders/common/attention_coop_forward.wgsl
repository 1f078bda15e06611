// `attention` on cooperative matrices: weights of a block of positions at a time, whose sums so far fade where the
// highest score rises by much (Milakov and Gimelshein 2018; Dao et al. 2022).
//
// Scores are binary logarithms. A weight is 2^(score - base), where a row's base is 8 below its highest score when
// that was last looked at; it is looked at again where a score is 15 above. So weights end at 2^15, and those that a
// half cannot hold in full are below 2^-22 of the highest. Sums stay in matrices and seldom fade: that takes
// workgroup memory.

const OPERANDS: u32 = 1u;

// A number of each invocation, and of each row.
var<workgroup> found: array<f32, INVOCATIONS>;
var<workgroup> of_rows: array<f32, 64>;

// Each row that the subgroups have put is multiplied with its number.
fn fade_sums(down: u32, turn: u32, lane: u32) {
    for (var four = lane; four < fours_put(); four += INVOCATIONS) {
        let at = place_of_sums(0u, turn) + four * 4u;
        put_four_sums(at, four_sums(at) * of_rows[place_of_four_sums(four, down, 0u).x]);
    }
}

// The score of four columns with a row, HIDDEN where they are not seen.
fn four_scores(row: u32, column: u32, i: u32, j: u32, back: vec2<f32>) -> vec4<f32> {
    let products = four_sums(row * sums_pitch() + column) * back.x * back.y;
    let seen = (open[column / 4u] != vec4<u32>()) & sees(vec4(i), j + column + vec4(0u, 1u, 2u, 3u));
    return select(vec4(HIDDEN), products, seen);
}

fn four_weights(scores: vec4<f32>, base: f32) -> vec4<f32> {
    return select(exp2(scores - base), vec4<f32>(), scores == vec4(HIDDEN));
}

// The weights of an invocation's columns to the tile: their sum, and the highest score.
fn put_weights(row: u32, part: u32, i: u32, j: u32, back: vec2<f32>, base: f32) -> vec2<f32> {
    var all = vec2(0.0, HIDDEN);
    let end = (part + 1u) * columns_of_one();
    for (var column = part * columns_of_one(); column < end; column += 4u) {
        let scores = four_scores(row, column, i, j, back);
        let weights = four_weights(scores, base);
        put_a(first_weight() + row * column_pitch() + column, vec4<f16>(weights));
        let two = weights.xy + weights.zw;
        let high = max(scores.xy, scores.zw);
        all = vec2(all.x + (two.x + two.y), max(all.y, max(high.x, high.y)));
    }
    return all;
}

// Of an invocation's row: the most, or the sum, of what its invocations have found.
fn across(row: u32, sum: bool) -> f32 {
    var all = found[row];
    for (var at = row + ROWS; at < INVOCATIONS; at += ROWS) {
        all = select(max(all, found[at]), all + found[at], sum);
    }
    return all;
}

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) nth: u32,
) {
    let group = first_group() + id;
    let p = place_of(group, SLICE);
    let first = group.x * ROWS;
    let last = params.length - 1u;
    let all = min(seen_to(min(first + ROWS - 1u, last)), params.met_end);
    let begin = max(seen_from(first), params.met_begin);
    let has_matrices = subgroup < 2u * ACROSS;
    let row = lane % ROWS;
    let part = lane / ROWS;
    if lane < 6u {
        atomicStore(&peaks[lane], 0u);
    }
    workgroupBarrier();
    let own_power = stage_own(false, p, first, lane, nth);
    var key_power = 253u;
    var value_power = 253u;
    var base = HIDDEN;
    // Of this invocation's columns.
    var total = 0.0;
    // Named: matrices in an array are beyond the compiler.
    var o00 = MatrixC();
    var o01 = MatrixC();
    var o02 = MatrixC();
    var o03 = MatrixC();
    var o10 = MatrixC();
    var o11 = MatrixC();
    var o12 = MatrixC();
    var o13 = MatrixC();
    var keys_next = fours_of(false, p, begin, lane, 0u);
    var more_keys = Fours();
    if FOURS > 8u {
        more_keys = fours_of(false, p, begin, lane, 8u);
    }
    note_peak(OTHER_PEAK, max(peak_of_fours(keys_next), peak_of_fours(more_keys)), nth);
    workgroupBarrier();
    for (var j = begin; j < all; j += BLOCK) {
        key_power = kept_power(key_power, atomicLoad(&peaks[OTHER_PEAK]));
        stage_fours(0u, lane, 0u, keys_next, key_power);
        if FOURS > 8u {
            stage_fours(0u, lane, 8u, more_keys, key_power);
        }
        note_open(p, j, all, lane);
        let values_next = fours_of(true, p, j, lane, 0u);
        var more_values = Fours();
        if FOURS > 8u {
            more_values = fours_of(true, p, j, lane, 8u);
        }
        workgroupBarrier();
        loop { // as in put_sums
            if !has_matrices {
                break;
            }
            put_all_products(first_own(false), first_other(false), subgroup);
            break;
        }
        note_peak(OTHER_PEAK + 1u, max(peak_of_fours(values_next), peak_of_fours(more_values)), nth);
        if lane == 0u {
            atomicStore(&peaks[FADES], 0u);
        }
        workgroupBarrier();
        let power = kept_power(value_power, atomicLoad(&peaks[OTHER_PEAK + 1u]));
        stage_fours(0u, lane, 0u, values_next, power);
        if FOURS > 8u {
            stage_fours(0u, lane, 8u, more_values, power);
        }
        let powers = powers_back(own_power, key_power);
        let back = vec2(powers.x, powers.y * (params.scale * LOG2_OF_E));
        var weights = put_weights(row, part, first + row, j, back, base);
        found[lane] = weights.y;
        if (weights.y > base + 15.0) | (power != value_power) {
            atomicStore(&peaks[FADES], 1u);
        }
        if workgroupUniformLoad(&peaks[FADES]) != 0u {
            let new_base = max(base, across(row, false) - 8.0);
            let fade = exp2(base - new_base);
            weights = put_weights(row, part, first + row, j, back, new_base);
            base = new_base;
            total *= fade;
            if part == 0u {
                of_rows[row] = fade * two_to(i32(power) - i32(value_power));
            }
            workgroupBarrier();
            // The first block has nothing to fade.
            let matrices = select(0u, HEIGHT * CHUNKS, j > begin);
            for (var n = 0u; n < matrices; n += 1u) {
                let at = matrix_of_turn(n);
    let which = select(16u, at.y * 2u + at.x, has_matrices);
                put_sums(o00, which == 0u, subgroup, n);
                put_sums(o10, which == 1u, subgroup, n);
                put_sums(o01, which == 2u, subgroup, n);
                put_sums(o11, which == 3u, subgroup, n);
                put_sums(o02, which == 4u, subgroup, n);
                put_sums(o12, which == 5u, subgroup, n);
                put_sums(o03, which == 6u, subgroup, n);
                put_sums(o13, which == 7u, subgroup, n);
                workgroupBarrier();
                fade_sums(at.x, n, lane);
                workgroupBarrier();
                o00 = get_sums(o00, which == 0u, subgroup, n);
                o10 = get_sums(o10, which == 1u, subgroup, n);
                o01 = get_sums(o01, which == 2u, subgroup, n);
                o11 = get_sums(o11, which == 3u, subgroup, n);
                o02 = get_sums(o02, which == 4u, subgroup, n);
                o12 = get_sums(o12, which == 5u, subgroup, n);
                o03 = get_sums(o03, which == 6u, subgroup, n);
                o13 = get_sums(o13, which == 7u, subgroup, n);
            }
        }
        value_power = power;
        total += weights.x;
        if j + BLOCK < all {
            keys_next = fours_of(false, p, j + BLOCK, lane, 0u);
            if FOURS > 8u {
                more_keys = fours_of(false, p, j + BLOCK, lane, 8u);
            }
        }
        loop { // as in put_sums
            if !has_matrices {
                break;
            }
            for (var t = 0u; t < BLOCK; t += SIDE) {
                let a0 = matrix_a(first_weight(), subgroup, 0u, t, column_pitch());
                var a1 = MatrixA();
                if HEIGHT > 1u {
                    a1 = matrix_a(first_weight(), subgroup, 1u, t, column_pitch());
                }
                let b0 = channels_b(first_other(true), subgroup, 0u, t);
                o00 = coopMultiplyAdd(a0, b0, o00);
                if HEIGHT > 1u {
                    o10 = coopMultiplyAdd(a1, b0, o10);
                }
                if CHUNKS > 1u {
                    let b1 = channels_b(first_other(true), subgroup, 1u, t);
                    o01 = coopMultiplyAdd(a0, b1, o01);
                    if HEIGHT > 1u {
                        o11 = coopMultiplyAdd(a1, b1, o11);
                    }
                }
                if CHUNKS > 2u {
                    let b2 = channels_b(first_other(true), subgroup, 2u, t);
                    o02 = coopMultiplyAdd(a0, b2, o02);
                    if HEIGHT > 1u {
                        o12 = coopMultiplyAdd(a1, b2, o12);
                    }
                }
                if CHUNKS > 3u {
                    let b3 = channels_b(first_other(true), subgroup, 3u, t);
                    o03 = coopMultiplyAdd(a0, b3, o03);
                    if HEIGHT > 1u {
                        o13 = coopMultiplyAdd(a1, b3, o13);
                    }
                }
            }
            break;
        }
        note_peak(OTHER_PEAK, max(peak_of_fours(keys_next), peak_of_fours(more_keys)), nth);
        workgroupBarrier();
    }
    found[lane] = total;
    workgroupBarrier();
    total = across(row, true);
    workgroupBarrier();
    // What this launch's sums are multiplied with, and what the earlier launches' result is.
    var log_sum = select((base + log2(total)) / LOG2_OF_E, HIDDEN, total == 0.0);
    var share = select(1.0 / total, 0.0, total == 0.0);
    var rest = 0.0;
    if RESUMED {
        let so_far = log_so_far(p, min(first + row, last));
        let high = max(so_far, log_sum);
        let own_part = exp(log_sum - high);
        let other_part = exp(so_far - high);
        share *= own_part / (own_part + other_part);
        rest = other_part / (own_part + other_part);
        log_sum = select(high + log(own_part + other_part), HIDDEN, high == HIDDEN);
    }
    if part == 0u {
        of_rows[row] = share;
        found[row] = rest;
        if first + row < params.length {
            note(p, first + row, log_sum);
        }
    }
    let back = two_to(127 - i32(value_power));
    for (var n = 0u; n < HEIGHT * CHUNKS; n += 1u) {
        let at = matrix_of_turn(n);
    let which = select(16u, at.y * 2u + at.x, has_matrices);
        put_sums(o00, which == 0u, subgroup, n);
        put_sums(o10, which == 1u, subgroup, n);
        put_sums(o01, which == 2u, subgroup, n);
        put_sums(o11, which == 3u, subgroup, n);
        put_sums(o02, which == 4u, subgroup, n);
        put_sums(o12, which == 5u, subgroup, n);
        put_sums(o03, which == 6u, subgroup, n);
        put_sums(o13, which == 7u, subgroup, n);
        workgroupBarrier();
        for (var four = lane; four < fours_put(); four += INVOCATIONS) {
            let place = place_of_four_sums(four, at.x, at.y);
            let values = four_sums(place_of_sums(0u, n) + four * 4u) * of_rows[place.x] * back;
            if (first + place.x < params.length) & (place.y < params.width) {
                store_four(p, first + place.x, place.y, values, found[place.x]);
            }
        }
    }
}

// What earlier launches have left is `rest` of the result.
fn store_four(p: Place, i: u32, channel: u32, values: vec4<f32>, rest: f32) {
    var four = values;
    if RESUMED {
        let at = result(p, i) + channel;
        four += rest * vec4(out[at], out[at + 1u], out[at + 2u], out[at + 3u]);
    }
    store(false, p, i, channel, four.x);
    store(false, p, i, channel + 1u, four.y);
    store(false, p, i, channel + 2u, four.z);
    store(false, p, i, channel + 3u, four.w);
}
