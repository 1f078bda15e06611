// c = activation(sum over the terms t of a(i, t) b(t, j), + bias) * slope(gate), for the file that has a, b and the
// places in c: `row_of`, `column_of`, `term_of`, `next_term`, `load_a`, `load_b`, `unscaled`, `has_row`,
// `rows_of_c`, `place_of`, `unit_of`, `group_count`, which terms count (all_terms.wgsl, live_terms.wgsl), and for
// lanes `place_in_b`, `neighbours`, `value_in_b`, `word_of_mask`.
//
// The sums are another file's: product_blocks.wgsl on any adapter, product_lanes.wgsl where lanes broadcast.
override BIAS: bool = false;
override ACTIVATION: u32 = IDENTITY;
override GATE: u32 = IDENTITY;
override ACCUMULATE: bool = false;

// Where the terms are in parts, each a sum of its own for `part_sum` to add up: the third axis of the grid has the
// groups of each part, one part after the other, and so have the results.
override SPLIT: bool = false;

// The third axis of the grid: groups of channels, where there are any.
var<private> channel_group: u32;
var<private> first_of_part: u32;

// The terms of a workgroup, from the first to one past the last, by its place along the third axis.
fn begin_at(z: u32) -> vec2<u32> {
    var terms = vec2(params.k_begin, params.k_end);
    channel_group = z;
    if SPLIT {
        let part = z / group_count();
        channel_group = z - part * group_count();
        first_of_part = part * group_count() * rows_of_c() * params.n;
        terms.x += part * params.part_terms;
        terms.y = min(terms.y, terms.x + params.part_terms);
    }
    return terms;
}

fn store(i: u32, j: u32, sum: f32) {
    if !has_row(i) || j >= params.n {
        return;
    }
    var at = place_of(i, j);
    if SPLIT {
        at += first_of_part;
    }
    var value = unscaled(sum);
    if ACCUMULATE {
        value += c[at];
    }
    if BIAS {
        value += bias[unit_of(j)];
    }
    value = activate(ACTIVATION, value);
    if GATE != IDENTITY {
        value *= slope(GATE, gate[at]);
    }
    c[at] = value;
}
