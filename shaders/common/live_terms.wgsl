// Terms of a product with a weight that count for nothing: those whose weights are pruned for all
// columns of a workgroup. It knows them by `live`: bit b of word w of a group of 32 units is 1 where
// any of these units keeps its weight of the input 32 w + b (live_inputs.wgsl).
//
// What is asked is the same in all of a workgroup, so nothing here parts it.
override SKIPS: u32 = 1u; // 1: terms are inputs and columns are units; 2: the other way round
// The sums are gradients of the weights themselves. 3: rows are inputs and columns are units; 4: the other way round.
// Those of a workgroup all of whose weights are pruned have no terms.

// Of 32 numbers from 32 w on, lowest bit first, those from `first` to `last`.
fn bits_within(w: u32, first: u32, last: u32) -> u32 {
    let low = max(first, w * 32u) & 31u;
    let high = min(last, w * 32u + 31u) & 31u;
    return (0xffffffffu << low) & (0xffffffffu >> (31u - high));
}

// Those of `terms` that the sums of so many rows and columns from the first on have.
fn terms_of_sums(terms: vec2<u32>, row: u32, rows: u32, column: u32, columns: u32) -> vec2<u32> {
    var left = terms;
    if SKIPS > 2u {
        let by_inputs = SKIPS == 3u;
        let last_row = min(row + rows, params.m) - 1u;
        let last_column = min(column + columns, params.n) - 1u;
        let inputs = select(vec2(column, last_column), vec2(row, last_row), by_inputs);
        let units = select(vec2(row, last_row), vec2(column, last_column), by_inputs);
        let words = (select(params.n, params.m, by_inputs) + 31u) / 32u;
        var kept = 0u;
        for (var group = units.x / 32u; group <= units.y / 32u; group += 1u) {
            for (var w = inputs.x / 32u; w <= inputs.y / 32u; w += 1u) {
                kept |= live[group * words + w] & bits_within(w, inputs.x, inputs.y);
            }
        }
        left = select(terms, terms.yy, kept == 0u);
    }
    return left;
}

// Of the terms from 32 w on, lowest bit first, those of which any of the `count` columns from
// `first` on keeps a weight.
fn live_terms(w: u32, first: u32, count: u32) -> u32 {
    let last = min(first + count, params.n) - 1u;
    var word = 0u;
    if SKIPS == 1u {
        let words = (params.k + 31u) / 32u;
        for (var group = first / 32u; group <= last / 32u; group += 1u) {
            word |= live[group * words + w];
        }
    } else {
        let words = (params.n + 31u) / 32u;
        for (var c = first / 32u; c <= last / 32u; c += 1u) {
            let asked = live[w * words + c] & bits_within(c, first, last);
            word |= select(0u, 0xffffffffu, asked != 0u);
        }
    }
    return word;
}

// The first term from k on that counts for these columns; `end` where none before it does.
fn next_live(k: u32, end: u32, first: u32, count: u32) -> u32 {
    var at = k;
    var found = false;
    while !found & (at < end) {
        let word = live_terms(at / 32u, first, count) >> (at & 31u);
        found = word != 0u;
        at = select((at | 31u) + 1u, at + countTrailingZeros(word), found);
    }
    return min(at, end);
}

// How many terms from k on, which counts, count: as far as the word of bits goes.
fn live_run(k: u32, first: u32, count: u32) -> u32 {
    return countTrailingZeros(~(live_terms(k / 32u, first, count) >> (k & 31u)));
}

// The first tile of `depth` terms from the tile k on that has a term which counts; the last of the
// terms or more where there is none.
fn next_tile(k: u32, terms: vec2<u32>, first: u32, count: u32, depth: u32) -> u32 {
    var tile = k;
    if SKIPS < 3u {
        let found = next_live(k, terms.y, first, count);
        tile = select(terms.x + (found - terms.x) / depth * depth, found, found >= terms.y);
    }
    return tile;
}
