// A convolution and its two gradients as products over halves, with sums in f32: see common/images.wgsl.
//
// a and b are what `f16_copy` leaves of images, kernels and results, times the powers of two that peaks have. Their
// channels and outputs are whole sixteens, and the terms and rows that are more of them than there are have zeros. So
// fours of halves are of one pixel. The result has the channels and outputs that there are.
//
// Another file binds a and b: common/f16_terms.wgsl as halves, common/product_coop.wgsl as vectors of four.

@group(0) @binding(2) var<storage, read> peaks: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> gate: array<f32>;
@group(0) @binding(5) var<storage, read_write> c: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

struct Params {
    m: u32, // whole sixteens for each tap, where FORM is WEIGHT
    n: u32,
    k: u32,
    k_begin: u32,
    k_end: u32,
    part_terms: u32, // where SPLIT
    height: u32,
    width: u32,
    channels: u32, // of the copies
    out_height: u32,
    out_width: u32,
    outputs: u32, // of the copies
    kernel_width: u32,
    stride_y: u32,
    stride_x: u32,
    dilation_y: u32,
    dilation_x: u32,
    pad_y: u32,
    pad_x: u32,
    result_channels: u32, // where PADDED
    result_rows: u32,
    a_peak: u32, // places in peaks
    b_peak: u32,
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}

// Where FORM is WEIGHT and there are fewer channels than the copies have.
override PADDED: bool = false;

fn has_row(i: u32) -> bool {
    var kept = i < params.m;
    if PADDED {
        kept = kept & (i % params.channels < params.result_channels);
    }
    return kept;
}

fn rows_of_c() -> u32 {
    return params.result_rows;
}

fn place_of(i: u32, j: u32) -> u32 {
    var row = i;
    if PADDED {
        let tap = i / params.channels;
        row = i - tap * (params.channels - params.result_channels);
    }
    return row * params.n + j;
}

fn group_count() -> u32 {
    return 1u;
}
