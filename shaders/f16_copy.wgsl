// out = half(power * x) for row-major x [rows, columns], which may be a part of a larger matrix. The power of two is
// that of peaks[at]. Rows and columns of out are whole sixteens; masked values and those past the edge are 0. Where
// IN_BLOCKS, each `block` rows of x begin a whole sixteen of rows of out.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> peaks: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec2<f16>>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    rows: u32,
    columns: u32,
    pairs: u32, // of a row of out
    len: u32, // pairs of out
    at: u32,
    block: u32, // where IN_BLOCKS
    whole_block: u32, // rows of it in out
    begin: u32, // of the first row in x
    stride: u32, // of x, from one row to the next
}

override MASKED: bool = false;
override IN_BLOCKS: bool = false;

fn scaled(row: u32, column: u32) -> f32 {
    if row >= params.rows || column >= params.columns {
        return 0.0;
    }
    let i = params.begin + row * params.stride + column;
    if MASKED && !bit(mask[i / 32u], i) {
        return 0.0;
    }
    return x[i] * power_of_two(f16_power(peaks[params.at]));
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.len {
        return;
    }
    var row = i / params.pairs;
    let column = i % params.pairs * 2u;
    if IN_BLOCKS {
        let nth = row / params.whole_block;
        let within = row - nth * params.whole_block;
        row = select(params.rows, nth * params.block + within, within < params.block);
    }
    out[i] = vec2<f16>(vec2(scaled(row, column), scaled(row, column + 1u)));
}
