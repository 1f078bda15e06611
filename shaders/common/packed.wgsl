// What is done to the sums of a product with a packed matrix, for the file that has c [m, n] and
// bias [n]. What there is of a is another file's: packed_row.wgsl, or packed_rows.wgsl.
override BIAS: bool = false;
override ACTIVATION: u32 = IDENTITY;
override ACCUMULATE: bool = false;
// Rows of a that an invocation has.
override ROWS: u32 = 1u;
// Whether the kept weights are halves, two a word.
override HALVES: bool = false;

fn store(i: u32, j: u32, sum: f32) {
    if i >= params.m || j >= params.n {
        return;
    }
    let at = params.c_begin + i * params.n + j;
    var value = sum;
    if ACCUMULATE {
        value += c[at];
    }
    if BIAS {
        value += bias[j];
    }
    c[at] = activate(ACTIVATION, value);
}

// The sums of four rows of a, as many as count, with one more term: what they have in a column.
fn plus(sums: vec4<f32>, value: f32, row: vec4<f32>) -> vec4<f32> {
    if ROWS == 1u {
        return vec4(fma(value, row.x, sums.x), sums.yzw);
    }
    return fma(vec4(value), row, sums);
}
