// Where the fours of images and kernels are, for product_coop.wgsl: as `f16_conv2d` has them. Channels and outputs are
// whole sixteens, so a four is of one pixel or of one tap.
//
// An invocation's fours of a are at one term of several rows, or where FORM is WEIGHT at one row of several terms that
// follow each other. So it knows the place of one term alone, and steps from there without a division.
struct LinesA {
    s: Row,
    t: Row,
    u: Row,
    v: Row,
}

var<private> at_term: Term;

fn begin_terms(k: u32) {
    at_term = term_of(k);
}

// From a tile to the next one. Where FORM is WEIGHT the last four of a tile has done so.
fn next_terms() {
    if FORM != WEIGHT {
        at_term = term_after(at_term, DEPTH);
    }
}

fn clamped_row(i: u32) -> Row {
    return row_of(min(i, params.m - 1u));
}

fn lines_of_a(first: vec2<u32>, nth: u32, first_row: u32) -> LinesA {
    if FORM == WEIGHT {
        let row = clamped_row(first_row + first.x * 4u);
        return LinesA(row, row, row, row);
    }
    let rows = rows_of_fours(first.y, nth, halves_a()) + first_row;
    return LinesA(
        clamped_row(rows.x),
        clamped_row(rows.y),
        clamped_row(rows.z),
        clamped_row(rows.w),
    );
}

// Where a has the row at the term that is next.
fn step_in_a(row: Row) -> Place {
    let place = place_in_a(row, at_term);
    if FORM == WEIGHT {
        at_term = term_after(at_term, rows_between(halves_a()));
    }
    return place;
}

fn places_in_a(lines: LinesA, nth: u32, k: u32, inside: vec4<bool>) -> Places {
    let s = step_in_a(lines.s);
    var t = Place();
    var u = Place();
    var v = Place();
    if FOURS_A > nth + 1u {
        t = step_in_a(lines.t);
    }
    if FOURS_A > nth + 2u {
        u = step_in_a(lines.u);
        v = step_in_a(lines.v);
    }
    let at = vec4(s.at, t.at, u.at, v.at) / 4u;
    return Places(at, inside & vec4(s.inside, t.inside, u.inside, v.inside));
}

// Kernels are read by outputs where FORM is INPUT: a's terms and b's are the same then, of the same invocation.
fn lines_of_b(first: vec2<u32>, nth: u32, first_column: u32) -> vec4<u32> {
    let row = select(first, vec2(0u, first.y), FORM == INPUT);
    let stride = params.outputs / 4u;
    return matrix_lines(row, nth, halves_b(), FORM != INPUT, first_column, params.n, stride);
}

fn offset_in_b(k: u32) -> u32 {
    if FORM == INPUT {
        return place_in_b(at_term, 0u) / 4u;
    }
    return k * (params.outputs / 4u);
}
