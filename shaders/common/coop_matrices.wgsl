// Where the fours of matrices are, for product_coop.wgsl: as `f16_matmul` has them.
alias LinesA = vec4<u32>;

fn lines_of_a(first: vec2<u32>, nth: u32, first_row: u32) -> LinesA {
    return matrix_lines(first, nth, halves_a(), TRANS_A, first_row, params.m, params.a_stride / 4u);
}

fn lines_of_b(first: vec2<u32>, nth: u32, first_column: u32) -> vec4<u32> {
    return matrix_lines(first, nth, halves_b(), !TRANS_B, first_column, params.n, params.b_stride / 4u);
}

fn places_in_a(lines: LinesA, nth: u32, k: u32, inside: vec4<bool>) -> Places {
    return Places(lines + select(k / 4u, k * (params.a_stride / 4u), TRANS_A), inside);
}

fn offset_in_b(k: u32) -> u32 {
    return select(k * (params.b_stride / 4u), k / 4u, TRANS_B);
}

fn begin_terms(k: u32) {}

fn next_terms() {}
