// Every term of a product counts: what common/live_terms.wgsl is where some do not.
const SKIPS: u32 = 0u;

fn terms_of_sums(terms: vec2<u32>, row: u32, rows: u32, column: u32, columns: u32) -> vec2<u32> {
    return terms;
}

fn next_live(k: u32, end: u32, first: u32, count: u32) -> u32 {
    return k;
}

fn live_run(k: u32, first: u32, count: u32) -> u32 {
    return 32u;
}

fn next_tile(k: u32, terms: vec2<u32>, first: u32, count: u32, depth: u32) -> u32 {
    return k;
}
