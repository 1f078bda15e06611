// How the invocations of product_coop.wgsl load tiles of a and b, each some fours of halves, and put them in workgroup
// memory.
//
// Another file says where an operand's fours are, coop_matrices.wgsl or coop_images.wgsl: `LinesA` is what stays of
// those of a from tile to tile. For each tile `places_in_a` is asked for all of an invocation's fours in their order,
// then `offset_in_b`; before another tile comes `next_terms`.
alias Four = vec4<f16>;

@group(0) @binding(0) var<storage, read> a: array<Four>;
@group(0) @binding(1) var<storage, read> b: array<Four>;

// Halves of a row of a tile, without what is added against clashes. Its rows are terms where neighbours in memory are
// of neighbouring rows or columns of c, or else they have the terms.
fn halves_a() -> u32 {
    return select(DEPTH, height(), rows_are_neighbours());
}

fn halves_b() -> u32 {
    return select(DEPTH, width(), columns_are_neighbours());
}

fn pitch_a() -> u32 {
    return halves_a() + 8u;
}

fn pitch_b() -> u32 {
    return halves_b() + 8u;
}

// The first four of an invocation in a tile: which of its row, and of which row. The others are as many rows on, each.
fn first_four(lane: u32, row_halves: u32) -> vec2<u32> {
    let fours = row_halves / 4u;
    return vec2(lane % fours, lane / fours);
}

fn rows_between(row_halves: u32) -> u32 {
    return invocations() / (row_halves / 4u);
}

// The rows of a tile that an invocation's fours from the one at `nth` on are in, where `first` is that of its first.
fn rows_of_fours(first: u32, nth: u32, row_halves: u32) -> vec4<u32> {
    return first + (vec4(0u, 1u, 2u, 3u) + nth) * rows_between(row_halves);
}

// The term of an invocation's first four that decides whether it is past the end.
fn term_of_four(first: vec2<u32>, rows_are_terms: bool) -> u32 {
    return select(first.x * 4u, first.y, rows_are_terms);
}

// The terms of its fours from the one at `nth` on, of which the first has `term`.
fn terms_of_fours(term: u32, nth: u32, row_halves: u32, rows_are_terms: bool) -> vec4<u32> {
    if rows_are_terms {
        return rows_of_fours(term, nth, row_halves);
    }
    return vec4(term);
}

// Of a matrix whose rows are `stride` fours: where the fours from the one at `nth` on of an invocation are, but for the
// terms before the tile. The matrix has rows for terms, or else `extent` of them, of which the tile's begin at `begin`.
fn matrix_lines(
    first: vec2<u32>,
    nth: u32,
    row_halves: u32,
    rows_are_terms: bool,
    begin: u32,
    extent: u32,
    stride: u32,
) -> vec4<u32> {
    let row = rows_of_fours(first.y, nth, row_halves);
    if rows_are_terms {
        return row * stride + min(begin / 4u + first.x, stride - 1u);
    }
    return min(row + begin, vec4(extent - 1u)) * stride + first.x;
}

// Where fours of a are, and whether they are anywhere: else they are zeros.
struct Places {
    at: vec4<u32>,
    inside: vec4<bool>,
}

// Neighbours among an invocation's fours.
struct Fours {
    s: Four,
    t: Four,
    u: Four,
    v: Four,
}

fn load_a(at: u32, inside: bool) -> Four {
    var four = Four();
    if inside {
        four = a[at];
    }
    return four;
}

fn load_b(at: u32, inside: bool) -> Four {
    var four = Four();
    if inside {
        four = b[at];
    }
    return four;
}

fn fours_of_a(lines: LinesA, term: u32, nth: u32, k: u32, end: u32) -> Fours {
    let terms = terms_of_fours(term, nth, halves_a(), rows_are_neighbours());
    let places = places_in_a(lines, nth, k, terms < vec4(end - k));
    var fours = Fours();
    fours.s = load_a(places.at.x, places.inside.x);
    if FOURS_A > nth + 1u {
        fours.t = load_a(places.at.y, places.inside.y);
    }
    if FOURS_A > nth + 2u {
        fours.u = load_a(places.at.z, places.inside.z);
        fours.v = load_a(places.at.w, places.inside.w);
    }
    return fours;
}

fn fours_of_b(lines: vec4<u32>, term: u32, nth: u32, k: u32, end: u32) -> Fours {
    let terms = terms_of_fours(term, nth, halves_b(), columns_are_neighbours());
    let inside = terms < vec4(end - k);
    let at = lines + offset_in_b(k);
    var fours = Fours();
    fours.s = load_b(at.x, inside.x);
    if FOURS_B > nth + 1u {
        fours.t = load_b(at.y, inside.y);
    }
    if FOURS_B > nth + 2u {
        fours.u = load_b(at.z, inside.z);
        fours.v = load_b(at.w, inside.w);
    }
    return fours;
}

// Where an invocation's first four goes in a tile.
fn place_in_tile(first: vec2<u32>, pitch: u32) -> u32 {
    return first.y * pitch + first.x * 4u;
}

fn stage_a(place: u32, nth: u32, fours: Fours) {
    let step = rows_between(halves_a()) * pitch_a();
    put_a(place + nth * step, fours.s);
    if FOURS_A > nth + 1u {
        put_a(place + (nth + 1u) * step, fours.t);
    }
    if FOURS_A > nth + 2u {
        put_a(place + (nth + 2u) * step, fours.u);
        put_a(place + (nth + 3u) * step, fours.v);
    }
}

fn stage_b(place: u32, nth: u32, fours: Fours) {
    let step = rows_between(halves_b()) * pitch_b();
    put_b(place + nth * step, fours.s);
    if FOURS_B > nth + 1u {
        put_b(place + (nth + 1u) * step, fours.t);
    }
    if FOURS_B > nth + 2u {
        put_b(place + (nth + 2u) * step, fours.u);
        put_b(place + (nth + 3u) * step, fours.v);
    }
}
