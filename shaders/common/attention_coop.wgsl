// What attention is made of on cooperative matrices of SIDE x SIDE: operands are halves in workgroup memory,
// products are added up in f32, and everything else is in f32.
//
// A workgroup has 2 x ACROSS subgroups with HEIGHT x COLUMNS matrices of products each: ROWS rows and BLOCK columns.
// Of the sums over columns a subgroup has HEIGHT x CHUNKS matrices, which are 32 channels a chunk. Invocations
// cannot see into matrices, so products go through workgroup memory. A workgroup has invocations for as many
// subgroups of the adapter's largest size; where its subgroups are smaller those that are over have no matrices (see
// product_coop.wgsl).
//
// Halves end at 65504. So a tile is multiplied with a power of two while it is staged: that of the largest magnitude
// among the tiles of its operand that the workgroup has met so far, whatever the operand has elsewhere. Products are
// multiplied back in f32, which is exact. No power is known before a tile has been loaded, so a tile waits in
// registers.
override INVOCATIONS: u32 = 128u; // of 2 * ACROSS subgroups of the largest size
override ACROSS: u32 = 2u;
override BLOCK: u32 = 64u; // ACROSS * COLUMNS * SIDE
override HEIGHT: u32 = 2u; // or 1
override COLUMNS: u32 = 2u; // or 1, as where HEIGHT is
override ROWS: u32 = 64u; // 2 * HEIGHT * SIDE
override CHUNKS: u32 = 2u; // to 4
override FOURS: u32 = 8u; // of a tile of columns, that an invocation loads: to 16
override STEPS: u32 = 2u; // the binary logarithm of how many of these are in a chunk
// Elements of arrays in workgroup memory: naga takes no expressions there.
override TILE_A: u32 = 2304u;
override TILE_B: u32 = 1152u;
override SUMS: u32 = 1088u;

alias Element = vec4<f32>;

// Channels of a workgroup: all of a head.
const SLICE: u32 = 128u;
// From one row of a matrix of sums to the next; naga takes no expression in its place.
const SUM_STRIDE: u32 = SIDE / SUM_ELEMENT;
const INFINITE: u32 = 0x7f800000u;
const LOG2_OF_E: f32 = 1.4426950408889634;

// Bits of the largest magnitudes so far: of the rows' operands, of the columns' and of slopes; and whether sums fade.
const OWN_PEAK: u32 = 0u;
const OTHER_PEAK: u32 = 2u;
const SLOPE_PEAK: u32 = 4u;
const FADES: u32 = 5u;
var<workgroup> peaks: array<atomic<u32>, 6>;
// Whether the columns of a block are there and seen by anybody, in fours.
var<workgroup> open: array<vec4<u32>, 16>;

// Halves of a row of a tile that has channels, and of one that has columns: eight more against clashes between banks.
fn pitch() -> u32 {
    return CHUNKS * 32u + 8u;
}

fn column_pitch() -> u32 {
    return BLOCK + 8u;
}

fn sums_pitch() -> u32 {
    return BLOCK + 4u;
}

// The rows' operands come first in the tile a, then the weights of columns; the columns' are all of the tile b.
fn first_own(second: bool) -> u32 {
    return select(0u, ROWS * pitch(), second);
}

fn first_weight() -> u32 {
    return OPERANDS * ROWS * pitch();
}

fn first_other(second: bool) -> u32 {
    return select(0u, BLOCK * pitch(), second & (OPERANDS > 1u));
}

// Columns of an invocation, which has a row with as many others as these leave.
fn columns_of_one() -> u32 {
    return BLOCK * ROWS / INVOCATIONS;
}

fn peak_of(four: vec4<f32>) -> u32 {
    let bits = bitcast<vec4<u32>>(four) & vec4(0x7fffffffu);
    let finite = select(vec4<u32>(), bits, bits < vec4(INFINITE));
    return max(max(finite.x, finite.y), max(finite.z, finite.w));
}

// The largest of a subgroup goes to the others by one of its invocations.
fn note_peak(which: u32, peak: u32, nth: u32) {
    let most = subgroupMax(peak);
    if nth == 0u {
        atomicMax(&peaks[which], most);
    }
}

// The exponent's bits of the power whose tiles a workgroup goes on with, given that of those so far. At first the
// largest is below 2^11; another power is taken where it would come to 2^15 or more, so seldom.
fn kept_power(power: u32, peak: u32) -> u32 {
    return select(power, min(264u - (peak >> 23u), 253u), (peak >> 23u) + power > 268u);
}

// 2^x for x of -126 or more.
fn two_to(x: i32) -> f32 {
    return power_of_two(u32(max(x, -126) + 127));
}

// What undoes the powers of both operands of a product, in two factors: that of both may be no f32.
fn powers_back(a: u32, b: u32) -> vec2<f32> {
    let both = 254 - i32(a) - i32(b);
    let one = both >> 1u;
    return vec2(two_to(one), two_to(both - one));
}

// Channels of a position whose own begin at `at`; none past the last.
fn channels_from(at: u32, c: u32) -> u32 {
    return (at + min(c * 4u, params.width - 4u)) / 4u;
}

fn own_four(second: bool, p: Place, i: u32, c: u32) -> vec4<f32> {
    let four = own(second, channels_from(own_at(second, p, min(i, params.length - 1u)), c));
    return select(vec4<f32>(), four, c * 4u < params.width);
}

fn other_four(second: bool, p: Place, j: u32, c: u32) -> vec4<f32> {
    let four = other(second, channels_from(other_at(second, p, min(j, params.length - 1u)), c));
    return select(vec4<f32>(), four, c * 4u < params.width);
}

// Rows of a tile that the invocations have at a time: eight fours of each.
fn rows_at_once() -> u32 {
    return INVOCATIONS / 8u;
}

// A rows' operand, from the position `first` on, goes to its tile; its power's exponent. It ends with a barrier.
fn stage_own(second: bool, p: Place, first: u32, lane: u32, nth: u32) -> u32 {
    let which = OWN_PEAK + u32(second);
    var peak = 0u;
    for (var chunk = lane & 7u; chunk < CHUNKS * 8u; chunk += 8u) {
        for (var row = lane >> 3u; row < ROWS; row += rows_at_once()) {
            peak = max(peak, peak_of(own_four(second, p, first + row, chunk)));
        }
    }
    note_peak(which, peak, nth);
    workgroupBarrier();
    let power = f16_power(atomicLoad(&peaks[which]));
    for (var chunk = lane & 7u; chunk < CHUNKS * 8u; chunk += 8u) {
        for (var row = lane >> 3u; row < ROWS; row += rows_at_once()) {
            let four = own_four(second, p, first + row, chunk) * power_of_two(power);
            put_a(first_own(second) + row * pitch() + chunk * 4u, vec4<f16>(four));
        }
    }
    workgroupBarrier();
    return power;
}

// Some of a tile of columns, on their way.
struct Fours {
    s: vec4<f32>,
    t: vec4<f32>,
    u: vec4<f32>,
    v: vec4<f32>,
    w: vec4<f32>,
    x: vec4<f32>,
    y: vec4<f32>,
    z: vec4<f32>,
}

// The row and the four of an invocation's `n`th.
fn place_of_four(lane: u32, n: u32) -> vec2<u32> {
    let row = (lane >> 3u) + (n & ((1u << STEPS) - 1u)) * rows_at_once();
    return vec2(row, (lane & 7u) + (n >> STEPS) * 8u);
}

fn nth_four(second: bool, p: Place, j: u32, lane: u32, n: u32) -> vec4<f32> {
    let place = place_of_four(lane, n);
    return other_four(second, p, j + place.x, place.y);
}

// Eight at most, from the `n`th on, where there are so many.
fn fours_of(second: bool, p: Place, j: u32, lane: u32, n: u32) -> Fours {
    var fours = Fours();
    if FOURS > n {
        fours.s = nth_four(second, p, j, lane, n);
    }
    if FOURS > n + 1u {
        fours.t = nth_four(second, p, j, lane, n + 1u);
    }
    if FOURS > n + 2u {
        fours.u = nth_four(second, p, j, lane, n + 2u);
    }
    if FOURS > n + 3u {
        fours.v = nth_four(second, p, j, lane, n + 3u);
    }
    if FOURS > n + 4u {
        fours.w = nth_four(second, p, j, lane, n + 4u);
    }
    if FOURS > n + 5u {
        fours.x = nth_four(second, p, j, lane, n + 5u);
    }
    if FOURS > n + 6u {
        fours.y = nth_four(second, p, j, lane, n + 6u);
    }
    if FOURS > n + 7u {
        fours.z = nth_four(second, p, j, lane, n + 7u);
    }
    return fours;
}

fn peak_of_fours(fours: Fours) -> u32 {
    let one = max(max(peak_of(fours.s), peak_of(fours.t)), max(peak_of(fours.u), peak_of(fours.v)));
    let two = max(max(peak_of(fours.w), peak_of(fours.x)), max(peak_of(fours.y), peak_of(fours.z)));
    return max(one, two);
}

fn put_nth(base: u32, lane: u32, n: u32, four: vec4<f32>) {
    let place = place_of_four(lane, n);
    put_b(base + place.x * pitch() + place.y * 4u, vec4<f16>(four));
}

// They are the tile b's that begins at `base`.
fn stage_fours(base: u32, lane: u32, n: u32, fours: Fours, exponent: u32) {
    let power = power_of_two(exponent);
    if FOURS > n {
        put_nth(base, lane, n, fours.s * power);
    }
    if FOURS > n + 1u {
        put_nth(base, lane, n + 1u, fours.t * power);
    }
    if FOURS > n + 2u {
        put_nth(base, lane, n + 2u, fours.u * power);
    }
    if FOURS > n + 3u {
        put_nth(base, lane, n + 3u, fours.v * power);
    }
    if FOURS > n + 4u {
        put_nth(base, lane, n + 4u, fours.w * power);
    }
    if FOURS > n + 5u {
        put_nth(base, lane, n + 5u, fours.x * power);
    }
    if FOURS > n + 6u {
        put_nth(base, lane, n + 6u, fours.y * power);
    }
    if FOURS > n + 7u {
        put_nth(base, lane, n + 7u, fours.z * power);
    }
}

// A subgroup's matrix `n` of rows, of the tile a's that begins at `base`.
fn matrix_a(base: u32, subgroup: u32, n: u32, t: u32, pitch: u32) -> MatrixA {
    let row = (subgroup / ACROSS * HEIGHT + n) * SIDE;
    return coopLoadT<MatrixA>(&tile_a[(base + row * pitch + t) / ELEMENT], pitch / ELEMENT);
}

// Of the columns' channels as terms, its matrix `n` of columns.
fn columns_b(base: u32, subgroup: u32, n: u32, t: u32) -> MatrixB {
    let column = (subgroup % ACROSS * COLUMNS + n) * SIDE;
    return coopLoad<MatrixB>(&tile_b[(base + column * pitch() + t) / ELEMENT], pitch() / ELEMENT);
}

// Of the columns as terms, its matrix `n` of channels.
fn channels_b(base: u32, subgroup: u32, n: u32, t: u32) -> MatrixB {
    let channel = (subgroup % ACROSS * CHUNKS + n) * SIDE;
    return coopLoadT<MatrixB>(&tile_b[(base + t * pitch() + channel) / ELEMENT], pitch() / ELEMENT);
}

// A subgroup's products of row `down` and column `across`.
fn put_products(matrix: MatrixC, subgroup: u32, down: u32, across: u32) {
    let row = (subgroup / ACROSS * HEIGHT + down) * SIDE;
    let column = (subgroup % ACROSS * COLUMNS + across) * SIDE;
    // Named: naga does not know otherwise that a store needs them.
    let at = (row * sums_pitch() + column) / SUM_ELEMENT;
    let stride = sums_pitch() / SUM_ELEMENT;
    coopStoreT(matrix, &sums[at], stride);
}

// The products of the rows' tile, which begins at `of_a`, with the columns'; of a subgroup that has matrices.
fn put_all_products(of_a: u32, of_b: u32, subgroup: u32) {
    var s00 = MatrixC();
    var s01 = MatrixC();
    var s10 = MatrixC();
    var s11 = MatrixC();
    for (var t = 0u; t < params.width; t += SIDE) {
        let a0 = matrix_a(of_a, subgroup, 0u, t, pitch());
        let b0 = columns_b(of_b, subgroup, 0u, t);
        s00 = coopMultiplyAdd(a0, b0, s00);
        if HEIGHT > 1u {
            let a1 = matrix_a(of_a, subgroup, 1u, t, pitch());
            s10 = coopMultiplyAdd(a1, b0, s10);
            if COLUMNS > 1u {
                let b1 = columns_b(of_b, subgroup, 1u, t);
                s01 = coopMultiplyAdd(a0, b1, s01);
                s11 = coopMultiplyAdd(a1, b1, s11);
            }
        }
    }
    put_products(s00, subgroup, 0u, 0u);
    if HEIGHT > 1u {
        put_products(s10, subgroup, 1u, 0u);
        if COLUMNS > 1u {
            put_products(s01, subgroup, 0u, 1u);
            put_products(s11, subgroup, 1u, 1u);
        }
    }
}

// Two places of a matrix of each subgroup, which take turns.
fn place_of_sums(subgroup: u32, turn: u32) -> u32 {
    return ((turn & 1u) * 2u * ACROSS + subgroup) * SIDE * SIDE;
}

// As in product_coop.wgsl: naga takes a loop that is left for control flow that the workgroup has in common, but no
// `if`.
fn put_sums(matrix: MatrixC, wanted: bool, subgroup: u32, turn: u32) {
    loop {
        if !wanted {
            break;
        }
        let at = place_of_sums(subgroup, turn) / SUM_ELEMENT;
        coopStoreT(matrix, &sums[at], SUM_STRIDE);
        break;
    }
}

fn get_sums(matrix: MatrixC, wanted: bool, subgroup: u32, turn: u32) -> MatrixC {
    var loaded = matrix;
    loop {
        if !wanted {
            break;
        }
        loaded = coopLoadT<MatrixC>(&sums[place_of_sums(subgroup, turn) / SUM_ELEMENT], SUM_STRIDE);
        break;
    }
    return loaded;
}

// The row and the first channel of four sums that the subgroups have put.
fn place_of_four_sums(four: u32, down: u32, across: u32) -> vec2<u32> {
    let at = four * 4u;
    let owner = at / (SIDE * SIDE);
    let row = (owner / ACROSS * HEIGHT + down) * SIDE + at / SIDE % SIDE;
    return vec2(row, (owner % ACROSS * CHUNKS + across) * SIDE + at % SIDE);
}

// Down and across of the matrices of a subgroup, one after the other.
fn matrix_of_turn(turn: u32) -> vec2<u32> {
    return vec2(turn & (HEIGHT - 1u), turn / HEIGHT);
}

// Fours that they have put.
fn fours_put() -> u32 {
    return 2u * ACROSS * SIDE * SIDE / 4u;
}

// Whether a block's columns from `j` on are there, before `end`, and anybody sees them.
fn note_open(p: Place, j: u32, end: u32, lane: u32) {
    if lane < BLOCK / 4u {
        let at = j + lane * 4u + vec4(0u, 1u, 2u, 3u);
        open[lane] = vec4<u32>((at < vec4(end)) & !hidden(p, min(at, vec4(params.length - 1u))));
    }
}
