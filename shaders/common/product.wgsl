// c = activation(sum over the terms t of a(i, t) b(t, j), + bias) * slope(gate), for the file that has
// a, b and the places in c: `row_of`, `term_of`, `next_term`, `load_a`, `load_b`, `unscaled`, `place_of`, `unit_of`, and
// for lanes `place_in_b`, `neighbours`, `value_in_b`, `word_of_mask`.
//
// The sums are another file's: product_blocks.wgsl on any adapter, product_lanes.wgsl where lanes broadcast.
override BIAS: bool = false;
override ACTIVATION: u32 = IDENTITY;
override GATE: u32 = IDENTITY;
override ACCUMULATE: bool = false;

// The third axis of the grid: groups of channels, where there are any.
var<private> channel_group: u32;

fn store(i: u32, j: u32, sum: f32) {
    if i >= params.m || j >= params.n {
        return;
    }
    let at = place_of(i, j);
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
