// A convolution and its two gradients as products, row-major: see common/images.wgsl.

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> gate: array<f32>;
@group(0) @binding(5) var<storage, read_write> c: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

struct Params {
    m: u32,
    n: u32,
    k: u32,
    k_begin: u32,
    k_end: u32,
    part_terms: u32, // where SPLIT
    groups: u32,
    height: u32,
    width: u32,
    channels: u32, // of a group
    out_height: u32,
    out_width: u32,
    outputs: u32, // of a group
    kernel_width: u32,
    stride_y: u32,
    stride_x: u32,
    dilation_y: u32,
    dilation_x: u32,
    pad_y: u32,
    pad_x: u32,
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}

override MASKED: bool = false;

fn load_a(row: Row, t: Term) -> f32 {
    let place = place_in_a(row, t);
    var value = 0.0;
    if place.inside {
        value = a[place.at];
    }
    return value;
}

fn load_b(t: Term, j: u32) -> f32 {
    let at = place_in_b(t, j);
    if MASKED && !bit(mask[at / 32u], at) {
        return 0.0;
    }
    return b[at];
}

fn value_in_b(at: u32) -> f32 {
    return b[at];
}

fn word_of_mask(i: u32) -> u32 {
    return mask[min(i, arrayLength(&mask) - 1u)];
}

fn unscaled(sum: f32) -> f32 {
    return sum;
}

fn has_row(i: u32) -> bool {
    return i < params.m;
}

fn rows_of_c() -> u32 {
    return params.m;
}

fn place_of(i: u32, j: u32) -> u32 {
    return (i * params.groups + channel_group) * params.n + j;
}

fn group_count() -> u32 {
    return params.groups;
}
