// What is done to the sums of a product with a packed matrix, for the file that has c [m, n] and bias [n].
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
    let at = i * params.n + j;
    var value = sum;
    if ACCUMULATE {
        value += c[at];
    }
    if BIAS {
        value += bias[j];
    }
    c[at] = activate(ACTIVATION, value);
}

// Where the rows i to i + 3 of a begin; those past the last are the last again.
fn begins_of(i: u32) -> vec4<u32> {
    return min(i + vec4(0u, 1u, 2u, 3u), vec4(params.m - 1u)) * params.k;
}

// Of four rows of a, as many as count, what they have in a column.
fn row_of(begins: vec4<u32>, column: u32) -> vec4<f32> {
    var row = vec4(a[begins.x + column], 0.0, 0.0, 0.0);
    if ROWS > 1u {
        row.y = a[begins.y + column];
    }
    if ROWS > 2u {
        row.z = a[begins.z + column];
        row.w = a[begins.w + column];
    }
    return row;
}

// The sums of these rows with one more term.
fn plus(sums: vec4<f32>, value: f32, row: vec4<f32>) -> vec4<f32> {
    if ROWS == 1u {
        return vec4(fma(value, row.x, sums.x), sums.yzw);
    }
    return fma(vec4(value), row, sums);
}
