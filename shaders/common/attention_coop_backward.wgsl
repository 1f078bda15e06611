// The gradients of attention on cooperative matrices: scores and products with the values as `attention` has them,
// then weights and slopes as halves.
//
// Weights end at 1 and are kept times 2^14. Slopes may have any size, so they have a power as tiles do; it goes with
// that of the columns' operand, so that the sums' power stays. Where slopes would come to 2^15 at that power, and
// where the power of the other operand changes, sums fade.
const OPERANDS: u32 = 2u;
// The exponent's bits of the power of weights.
const WEIGHT_POWER: u32 = 141u;

// Logs of sums of exponentials, in binary, and D of a block's columns, in fours; where columns are queries.
var<workgroup> column_logs: array<vec4<f32>, 16>;
var<workgroup> column_along: array<vec4<f32>, 16>;

// Of four columns with an invocation's row.
struct Heard {
    columns: vec4<u32>,
    logs: vec4<f32>,
    along: vec4<f32>,
}

// Four fours of a row.
struct Row {
    s: vec4<f32>,
    t: vec4<f32>,
    u: vec4<f32>,
    v: vec4<f32>,
}

fn note_columns(p: Place, j: u32, end: u32, lane: u32) {
    if lane < BLOCK / 4u {
        let at = j + lane * 4u + vec4(0u, 1u, 2u, 3u);
        let there = min(at, vec4(params.length - 1u));
        open[lane] = vec4<u32>((at < vec4(end)) & (vec4(OF_KEYS) | !hidden(p, there)));
        if OF_KEYS {
            let x = known(p, there.x);
            let y = known(p, there.y);
            let z = known(p, there.z);
            let w = known(p, there.w);
            column_logs[lane] = vec4(x.x, y.x, z.x, w.x) * LOG2_OF_E;
            column_along[lane] = vec4(x.y, y.y, z.y, w.y);
        }
    }
}

// `own` is what is known of the row, where rows are queries.
fn of_columns(column: u32, own: vec2<f32>) -> Heard {
    let four = column / 4u;
    var these = Heard(open[four], vec4(own.x), vec4(own.y));
    if OF_KEYS {
        these.logs = column_logs[four];
        these.along = column_along[four];
    }
    return these;
}

fn four_weights(row: u32, column: u32, i: u32, j: u32, back: vec2<f32>, own: vec2<f32>) -> vec4<f32> {
    let these = of_columns(column, own);
    let at = j + column + vec4(0u, 1u, 2u, 3u);
    let rows = vec4(i);
    let meet = sees(select(rows, at, OF_KEYS), select(at, rows, OF_KEYS)) & (these.columns != vec4<u32>());
    let products = four_sums(row * sums_pitch() + column) * back.x * back.y;
    return select(vec4<f32>(), exp2(products - these.logs), meet);
}

// The slopes of scores; of what is not seen nobody knows the products.
fn four_slopes(w: vec4<f32>, row: u32, column: u32, back: vec2<f32>, own: vec2<f32>) -> vec4<f32> {
    let products = four_sums(row * sums_pitch() + column) * back.x * back.y;
    let slopes = w * (products - of_columns(column, own).along) * params.scale;
    return select(slopes, vec4<f32>(), w == vec4<f32>());
}

fn put_row(row: u32, column: u32, these: Row, exponent: u32) {
    let power = power_of_two(exponent);
    let at = first_weight() + row * column_pitch() + column;
    put_a(at, vec4<f16>(these.s * power));
    if columns_of_one() > 4u {
        put_a(at + 4u, vec4<f16>(these.t * power));
    }
    if columns_of_one() > 8u {
        put_a(at + 8u, vec4<f16>(these.u * power));
        put_a(at + 12u, vec4<f16>(these.v * power));
    }
}

// What the subgroups have put is multiplied with `by`.
fn fade_all(by: f32, turn: u32, lane: u32) {
    for (var four = lane; four < fours_put(); four += INVOCATIONS) {
        let at = place_of_sums(0u, turn) + four * 4u;
        put_four_sums(at, four_sums(at) * by);
    }
}

fn store_put(second: bool, p: Place, first: u32, at: vec2<u32>, turn: u32, back: vec2<f32>, lane: u32) {
    for (var four = lane; four < fours_put(); four += INVOCATIONS) {
        let place = place_of_four_sums(four, at.x, at.y);
        let values = four_sums(place_of_sums(0u, turn) + four * 4u) * back.x * back.y;
        if (first + place.x < params.length) & (place.y < params.width) {
            store(second, p, first + place.x, place.y, values.x);
            store(second, p, first + place.x, place.y + 1u, values.y);
            store(second, p, first + place.x, place.y + 2u, values.z);
            store(second, p, first + place.x, place.y + 3u, values.w);
        }
    }
}

@compute @workgroup_size(INVOCATIONS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) nth: u32,
) {
    let group = first_group() + id;
    let p = place(group, SLICE);
    let first = group.x * ROWS;
    let last = params.length - 1u;
    let all = min(met_to(min(first + ROWS - 1u, last)), params.met_end);
    let begin = max(met_from(first), params.met_begin);
    let has_matrices = subgroup < 2u * ACROSS;
    let row = lane % ROWS;
    let column = lane / ROWS * columns_of_one();
    if lane < 6u {
        atomicStore(&peaks[lane], 0u);
    }
    workgroupBarrier();
    let own_power = stage_own(false, p, first, lane, nth);
    let second_own_power = stage_own(true, p, first, lane, nth);
    var heard = vec2<f32>();
    if !OF_KEYS {
        heard = known(p, min(first + row, last)) * vec2(LOG2_OF_E, 1.0);
    }
    // Named: matrices in an array are beyond the compiler. By slopes, and by weights.
    var o00 = MatrixC();
    var o01 = MatrixC();
    var o02 = MatrixC();
    var o03 = MatrixC();
    var o10 = MatrixC();
    var o11 = MatrixC();
    var o12 = MatrixC();
    var o13 = MatrixC();
    var w00 = MatrixC();
    var w01 = MatrixC();
    var w02 = MatrixC();
    var w03 = MatrixC();
    var w10 = MatrixC();
    var w11 = MatrixC();
    var w12 = MatrixC();
    var w13 = MatrixC();
    var next = fours_of(false, p, begin, lane, 0u);
    var next_second = fours_of(true, p, begin, lane, 0u);
    var more = Fours();
    var more_second = Fours();
    if FOURS > 8u {
        more = fours_of(false, p, begin, lane, 8u);
        more_second = fours_of(true, p, begin, lane, 8u);
    }
    note_peak(OTHER_PEAK, max(peak_of_fours(next), peak_of_fours(more)), nth);
    note_peak(OTHER_PEAK + 1u, max(peak_of_fours(next_second), peak_of_fours(more_second)), nth);
    workgroupBarrier();
    var power = kept_power(253u, atomicLoad(&peaks[OTHER_PEAK]));
    var second_power = kept_power(253u, atomicLoad(&peaks[OTHER_PEAK + 1u]));
    // Of slopes and the columns' operand together.
    var both_powers = 253u + power;
    for (var j = begin; j < all; j += BLOCK) {
        stage_fours(first_other(false), lane, 0u, next, power);
        stage_fours(first_other(true), lane, 0u, next_second, second_power);
        if FOURS > 8u {
            stage_fours(first_other(false), lane, 8u, more, power);
            stage_fours(first_other(true), lane, 8u, more_second, second_power);
        }
        note_columns(p, j, all, lane);
        workgroupBarrier();
        loop { // as in put_sums
            if !has_matrices {
                break;
            }
            put_all_products(first_own(false), first_other(false), subgroup);
            break;
        }
        if lane == 0u {
            atomicStore(&peaks[FADES], 0u);
        }
        workgroupBarrier();
        let powers = powers_back(own_power, power);
        let back = vec2(powers.x, powers.y * (params.scale * LOG2_OF_E));
        var these = Row();
        these.s = four_weights(row, column, first + row, j, back, heard);
        if columns_of_one() > 4u {
            these.t = four_weights(row, column + 4u, first + row, j, back, heard);
        }
        if columns_of_one() > 8u {
            these.u = four_weights(row, column + 8u, first + row, j, back, heard);
            these.v = four_weights(row, column + 12u, first + row, j, back, heard);
        }
        if OF_KEYS {
            put_row(row, column, these, WEIGHT_POWER);
        }
        workgroupBarrier();
        if j + BLOCK < all {
            next = fours_of(false, p, j + BLOCK, lane, 0u);
            next_second = fours_of(true, p, j + BLOCK, lane, 0u);
            if FOURS > 8u {
                more = fours_of(false, p, j + BLOCK, lane, 8u);
                more_second = fours_of(true, p, j + BLOCK, lane, 8u);
            }
        }
        loop { // as in put_sums
            if !has_matrices {
                break;
            }
            put_all_products(first_own(true), first_other(true), subgroup);
            for (var t = 0u; t < select(0u, BLOCK, OF_KEYS); t += SIDE) {
                let a0 = matrix_a(first_weight(), subgroup, 0u, t, column_pitch());
                var a1 = MatrixA();
                if HEIGHT > 1u {
                    a1 = matrix_a(first_weight(), subgroup, 1u, t, column_pitch());
                }
                let b0 = channels_b(first_other(true), subgroup, 0u, t);
                w00 = coopMultiplyAdd(a0, b0, w00);
                if HEIGHT > 1u {
                    w10 = coopMultiplyAdd(a1, b0, w10);
                }
                if CHUNKS > 1u {
                    let b1 = channels_b(first_other(true), subgroup, 1u, t);
                    w01 = coopMultiplyAdd(a0, b1, w01);
                    if HEIGHT > 1u {
                        w11 = coopMultiplyAdd(a1, b1, w11);
                    }
                }
                if CHUNKS > 2u {
                    let b2 = channels_b(first_other(true), subgroup, 2u, t);
                    w02 = coopMultiplyAdd(a0, b2, w02);
                    if HEIGHT > 1u {
                        w12 = coopMultiplyAdd(a1, b2, w12);
                    }
                }
                if CHUNKS > 3u {
                    let b3 = channels_b(first_other(true), subgroup, 3u, t);
                    w03 = coopMultiplyAdd(a0, b3, w03);
                    if HEIGHT > 1u {
                        w13 = coopMultiplyAdd(a1, b3, w13);
                    }
                }
            }
            break;
        }
        note_peak(OTHER_PEAK, max(peak_of_fours(next), peak_of_fours(more)), nth);
        note_peak(OTHER_PEAK + 1u, max(peak_of_fours(next_second), peak_of_fours(more_second)), nth);
        workgroupBarrier();
        let second_back = powers_back(second_own_power, second_power);
        these.s = four_slopes(these.s, row, column, second_back, heard);
        if columns_of_one() > 4u {
            these.t = four_slopes(these.t, row, column + 4u, second_back, heard);
        }
        if columns_of_one() > 8u {
            these.u = four_slopes(these.u, row, column + 8u, second_back, heard);
            these.v = four_slopes(these.v, row, column + 12u, second_back, heard);
        }
        let steepest = max(max(peak_of(these.s), peak_of(these.t)), max(peak_of(these.u), peak_of(these.v)));
        note_peak(SLOPE_PEAK, steepest, nth);
        workgroupBarrier();
        let slope_power = kept_power(min(both_powers - power, 253u), atomicLoad(&peaks[SLOPE_PEAK]));
        put_row(row, column, these, slope_power);
        let new_powers = slope_power + power;
        let new_power = kept_power(power, atomicLoad(&peaks[OTHER_PEAK]));
        let new_second = kept_power(second_power, atomicLoad(&peaks[OTHER_PEAK + 1u]));
        if (lane == 0u) & ((new_powers != both_powers) | (new_second != second_power)) {
            atomicStore(&peaks[FADES], 1u);
        }
        if workgroupUniformLoad(&peaks[FADES]) != 0u {
            let by_slopes = two_to(i32(new_powers) - i32(both_powers));
            let by_weights = two_to(i32(new_second) - i32(second_power));
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
                fade_all(by_slopes, n, lane);
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
            workgroupBarrier();
            for (var n = 0u; n < select(0u, HEIGHT * CHUNKS, OF_KEYS); n += 1u) {
                let at = matrix_of_turn(n);
                let which = select(16u, at.y * 2u + at.x, has_matrices);
                put_sums(w00, which == 0u, subgroup, n);
                put_sums(w10, which == 1u, subgroup, n);
                put_sums(w01, which == 2u, subgroup, n);
                put_sums(w11, which == 3u, subgroup, n);
                put_sums(w02, which == 4u, subgroup, n);
                put_sums(w12, which == 5u, subgroup, n);
                put_sums(w03, which == 6u, subgroup, n);
                put_sums(w13, which == 7u, subgroup, n);
                workgroupBarrier();
                fade_all(by_weights, n, lane);
                workgroupBarrier();
                w00 = get_sums(w00, which == 0u, subgroup, n);
                w10 = get_sums(w10, which == 1u, subgroup, n);
                w01 = get_sums(w01, which == 2u, subgroup, n);
                w11 = get_sums(w11, which == 3u, subgroup, n);
                w02 = get_sums(w02, which == 4u, subgroup, n);
                w12 = get_sums(w12, which == 5u, subgroup, n);
                w03 = get_sums(w03, which == 6u, subgroup, n);
                w13 = get_sums(w13, which == 7u, subgroup, n);
            }
        }
        both_powers = new_powers;
        power = new_power;
        second_power = new_second;
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
                let b0 = channels_b(first_other(false), subgroup, 0u, t);
                o00 = coopMultiplyAdd(a0, b0, o00);
                if HEIGHT > 1u {
                    o10 = coopMultiplyAdd(a1, b0, o10);
                }
                if CHUNKS > 1u {
                    let b1 = channels_b(first_other(false), subgroup, 1u, t);
                    o01 = coopMultiplyAdd(a0, b1, o01);
                    if HEIGHT > 1u {
                        o11 = coopMultiplyAdd(a1, b1, o11);
                    }
                }
                if CHUNKS > 2u {
                    let b2 = channels_b(first_other(false), subgroup, 2u, t);
                    o02 = coopMultiplyAdd(a0, b2, o02);
                    if HEIGHT > 1u {
                        o12 = coopMultiplyAdd(a1, b2, o12);
                    }
                }
                if CHUNKS > 3u {
                    let b3 = channels_b(first_other(false), subgroup, 3u, t);
                    o03 = coopMultiplyAdd(a0, b3, o03);
                    if HEIGHT > 1u {
                        o13 = coopMultiplyAdd(a1, b3, o13);
                    }
                }
            }
            break;
        }
        workgroupBarrier();
    }
    // The power of slopes and the columns' operand, in the two of them that one has as a power.
    let slopes_back = powers_back(both_powers / 2u, both_powers - both_powers / 2u);
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
        store_put(false, p, first, at, n, slopes_back, lane);
    }
    workgroupBarrier();
    let weights_back = powers_back(WEIGHT_POWER, second_power);
    for (var n = 0u; n < select(0u, HEIGHT * CHUNKS, OF_KEYS); n += 1u) {
        let at = matrix_of_turn(n);
        let which = select(16u, at.y * 2u + at.x, has_matrices);
        put_sums(w00, which == 0u, subgroup, n);
        put_sums(w10, which == 1u, subgroup, n);
        put_sums(w01, which == 2u, subgroup, n);
        put_sums(w11, which == 3u, subgroup, n);
        put_sums(w02, which == 4u, subgroup, n);
        put_sums(w12, which == 5u, subgroup, n);
        put_sums(w03, which == 6u, subgroup, n);
        put_sums(w13, which == 7u, subgroup, n);
        workgroupBarrier();
        store_put(true, p, first, at, n, weights_back, lane);
    }
}
