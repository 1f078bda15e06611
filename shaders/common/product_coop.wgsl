// The sums of a product of halves on cooperative matrices of SIDE x SIDE: tiles of a and b in workgroup memory, DEPTH
// terms at a time, which DOWN x ACROSS subgroups share; each keeps ROWS x COLUMNS matrices of c.
//
// A workgroup has invocations for as many subgroups of the adapter's largest size, SUBGROUP. Where its subgroups are
// smaller there are more of them: those without matrices load and store with the others, and meet every barrier.
//
// a and b have whole fours of columns, and zeros past the last term within a sixteen. A launch, and a part, begins at a
// whole sixteen of terms. A tile is kept as its operand is, row by row, with eight halves more a row against clashes
// between banks. Fours past the edge are clamped while loading and sums past it are skipped while storing; terms past
// the end are zeros. The next tiles' fours, eight of each operand at most, are loaded into registers meanwhile.
override SUBGROUP: u32 = 32u;
override DOWN: u32 = 2u;
override ACROSS: u32 = 2u;
override ROWS: u32 = 2u; // or 4
override COLUMNS: u32 = 2u; // or 4, where ROWS are
override DEPTH: u32 = 32u; // or 16
override FOURS_A: u32 = 4u; // of a tile of a, that an invocation loads: 1, 2, 4 or 8
override FOURS_B: u32 = 4u;
// Elements of arrays in workgroup memory: naga takes no expressions there.
override TILE_A: u32 = 640u;
override TILE_B: u32 = 640u;
override SUMS: u32 = 1024u;

// A matrix of each subgroup.
var<workgroup> sums: array<f32, SUMS>;

var<private> power_a: f32;
var<private> power_b: f32;

// One after the other: the product of both may be no f32.
fn unscaled(sum: f32) -> f32 {
    return sum * power_a * power_b;
}

fn invocations() -> u32 {
    return DOWN * ACROSS * SUBGROUP;
}

fn height() -> u32 {
    return DOWN * ROWS * SIDE;
}

fn width() -> u32 {
    return ACROSS * COLUMNS * SIDE;
}

// Where the first matrices of a subgroup begin in the tiles.
fn first_in_a(subgroup: u32) -> u32 {
    return subgroup / ACROSS * ROWS * SIDE * select(pitch_a(), 1u, rows_are_neighbours()) / ELEMENT;
}

fn first_in_b(subgroup: u32) -> u32 {
    return subgroup % ACROSS * COLUMNS * SIDE * select(pitch_b(), 1u, columns_are_neighbours()) / ELEMENT;
}

// Its matrix `n` of rows, or of columns, at a term.
fn matrix_a(first: u32, n: u32, t: u32) -> MatrixA {
    let pitch = pitch_a();
    if rows_are_neighbours() {
        return coopLoad<MatrixA>(&tile_a[first + (t * pitch + n * SIDE) / ELEMENT], pitch / ELEMENT);
    }
    return coopLoadT<MatrixA>(&tile_a[first + (n * SIDE * pitch + t) / ELEMENT], pitch / ELEMENT);
}

fn matrix_b(first: u32, n: u32, t: u32) -> MatrixB {
    let pitch = pitch_b();
    if columns_are_neighbours() {
        return coopLoadT<MatrixB>(&tile_b[first + (t * pitch + n * SIDE) / ELEMENT], pitch / ELEMENT);
    }
    return coopLoad<MatrixB>(&tile_b[first + (n * SIDE * pitch + t) / ELEMENT], pitch / ELEMENT);
}

// Matrices want control flow that a subgroup has in common, and naga one that the workgroup has: it takes a loop that
// is left for such, but no `if`.
fn put_sums(matrix: MatrixC, wanted: bool, subgroup: u32) {
    loop {
        if !wanted {
            break;
        }
        coopStoreT(matrix, &sums[subgroup * SIDE * SIDE], SIDE);
        break;
    }
}

// What the subgroups have put, which is the matrix in row `down` and column `across` of each.
fn store_sums(down: u32, across: u32, first_row: u32, first_column: u32, lane: u32) {
    for (var e = lane; e < SUMS; e += invocations()) {
        let owner = e / (SIDE * SIDE);
        let i = first_row + (owner / ACROSS * ROWS + down) * SIDE + e / SIDE % SIDE;
        let j = first_column + (owner % ACROSS * COLUMNS + across) * SIDE + e % SIDE;
        store(i, j, sums[e]);
    }
}

@compute @workgroup_size(DOWN * ACROSS * SUBGROUP)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
    @builtin(subgroup_id) subgroup: u32,
) {
    let group = first_group() + id;
    let terms = begin_at(group.z);
    power_a = power_back(params.a_peak);
    power_b = power_back(params.b_peak);
    let first_row = group.y * height();
    let first_column = group.x * width();
    let has_matrices = subgroup < DOWN * ACROSS;
    let first_a = first_in_a(subgroup);
    let first_b = first_in_b(subgroup);
    let four_a = first_four(lane, halves_a());
    let four_b = first_four(lane, halves_b());
    let tile_place_a = place_in_tile(four_a, pitch_a());
    let tile_place_b = place_in_tile(four_b, pitch_b());
    let term_a = term_of_four(four_a, rows_are_neighbours());
    let term_b = term_of_four(four_b, columns_are_neighbours());
    let lines_a = lines_of_a(four_a, 0u, first_row);
    let lines_b = lines_of_b(four_b, 0u, first_column);
    var more_a = lines_a;
    var more_b = lines_b;
    if FOURS_A > 4u {
        more_a = lines_of_a(four_a, 4u, first_row);
    }
    if FOURS_B > 4u {
        more_b = lines_of_b(four_b, 4u, first_column);
    }
    begin_terms(terms.x + term_a);
    // Named: matrices in an array are beyond the compiler.
    var s00 = MatrixC();
    var s01 = MatrixC();
    var s10 = MatrixC();
    var s11 = MatrixC();
    var s02 = MatrixC();
    var s03 = MatrixC();
    var s12 = MatrixC();
    var s13 = MatrixC();
    var s20 = MatrixC();
    var s21 = MatrixC();
    var s22 = MatrixC();
    var s23 = MatrixC();
    var s30 = MatrixC();
    var s31 = MatrixC();
    var s32 = MatrixC();
    var s33 = MatrixC();
    var next_a = fours_of_a(lines_a, term_a, 0u, terms.x, terms.y);
    var further_a = Fours();
    if FOURS_A > 4u {
        further_a = fours_of_a(more_a, term_a, 4u, terms.x, terms.y);
    }
    var next_b = fours_of_b(lines_b, term_b, 0u, terms.x, terms.y);
    var further_b = Fours();
    if FOURS_B > 4u {
        further_b = fours_of_b(more_b, term_b, 4u, terms.x, terms.y);
    }
    for (var k = terms.x; k < terms.y; k += DEPTH) {
        stage_a(tile_place_a, 0u, next_a);
        stage_b(tile_place_b, 0u, next_b);
        if FOURS_A > 4u {
            stage_a(tile_place_a, 4u, further_a);
        }
        if FOURS_B > 4u {
            stage_b(tile_place_b, 4u, further_b);
        }
        workgroupBarrier();
        // What comes next is on its way while these terms are added up.
        let next = k + DEPTH;
        if next < terms.y {
            next_terms();
            next_a = fours_of_a(lines_a, term_a, 0u, next, terms.y);
            if FOURS_A > 4u {
                further_a = fours_of_a(more_a, term_a, 4u, next, terms.y);
            }
            next_b = fours_of_b(lines_b, term_b, 0u, next, terms.y);
            if FOURS_B > 4u {
                further_b = fours_of_b(more_b, term_b, 4u, next, terms.y);
            }
        }
        loop { // as in put_sums
            if !has_matrices {
                break;
            }
            for (var t = 0u; t < DEPTH; t += SIDE) {
                let a0 = matrix_a(first_a, 0u, t);
                let a1 = matrix_a(first_a, 1u, t);
                let b0 = matrix_b(first_b, 0u, t);
                let b1 = matrix_b(first_b, 1u, t);
                s00 = coopMultiplyAdd(a0, b0, s00);
                s01 = coopMultiplyAdd(a0, b1, s01);
                s10 = coopMultiplyAdd(a1, b0, s10);
                s11 = coopMultiplyAdd(a1, b1, s11);
                if ROWS > 2u {
                    let a2 = matrix_a(first_a, 2u, t);
                    let a3 = matrix_a(first_a, 3u, t);
                    s20 = coopMultiplyAdd(a2, b0, s20);
                    s21 = coopMultiplyAdd(a2, b1, s21);
                    s30 = coopMultiplyAdd(a3, b0, s30);
                    s31 = coopMultiplyAdd(a3, b1, s31);
                    if COLUMNS > 2u {
                        let b2 = matrix_b(first_b, 2u, t);
                        s02 = coopMultiplyAdd(a0, b2, s02);
                        s12 = coopMultiplyAdd(a1, b2, s12);
                        s22 = coopMultiplyAdd(a2, b2, s22);
                        s32 = coopMultiplyAdd(a3, b2, s32);
                        let b3 = matrix_b(first_b, 3u, t);
                        s03 = coopMultiplyAdd(a0, b3, s03);
                        s13 = coopMultiplyAdd(a1, b3, s13);
                        s23 = coopMultiplyAdd(a2, b3, s23);
                        s33 = coopMultiplyAdd(a3, b3, s33);
                    }
                }
            }
            break;
        }
        workgroupBarrier();
    }
    for (var down = 0u; down < ROWS; down += 1u) {
        for (var across = 0u; across < COLUMNS; across += 1u) {
            let which = select(16u, down * 4u + across, has_matrices);
            put_sums(s00, which == 0u, subgroup);
            put_sums(s01, which == 1u, subgroup);
            put_sums(s10, which == 4u, subgroup);
            put_sums(s11, which == 5u, subgroup);
            if ROWS > 2u {
                put_sums(s20, which == 8u, subgroup);
                put_sums(s21, which == 9u, subgroup);
                put_sums(s30, which == 12u, subgroup);
                put_sums(s31, which == 13u, subgroup);
            }
            if COLUMNS > 2u {
                put_sums(s02, which == 2u, subgroup);
                put_sums(s03, which == 3u, subgroup);
                put_sums(s12, which == 6u, subgroup);
                put_sums(s13, which == 7u, subgroup);
                put_sums(s22, which == 10u, subgroup);
                put_sums(s23, which == 11u, subgroup);
                put_sums(s32, which == 14u, subgroup);
                put_sums(s33, which == 15u, subgroup);
            }
            workgroupBarrier();
            store_sums(down, across, first_row, first_column, lane);
            workgroupBarrier();
        }
    }
}
