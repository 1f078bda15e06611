// A convolution and its two gradients as products, row-major, without the matrix of patches in memory.
//
// FORWARD  y[n, oy, ox, o] = sum of x[n, iy, ix, c] w[ky, kx, c, o], where iy = oy stride - pad + ky dilation;
// INPUT    x[n, iy, ix, c] = sum of y[n, oy, ox, o] w[ky, kx, c, o] over the same pairs;
// WEIGHT   w[ky, kx, c, o] = sum of x[n, iy, ix, c] y[n, oy, ox, o] over the same pairs.
// Outside of its image x is 0. Channels and outputs are of one group, the third axis of the grid.

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
}

const FORWARD: u32 = 0u;
const INPUT: u32 = 1u;
const WEIGHT: u32 = 2u;

override FORM: u32 = FORWARD;

// A place in an image: the image's first pixel, and where in it, before the padding is taken off.
struct Pixel {
    image: u32,
    y: u32,
    x: u32,
    channel: u32,
}

// A place in the kernel and a channel of a, in units of a's pixels.
fn tap_of(k: u32, channels: u32) -> Pixel {
    let tap = k / channels;
    let ky = tap / params.kernel_width;
    let kx = tap - ky * params.kernel_width;
    return Pixel(0u, ky * params.dilation_y, kx * params.dilation_x, k - tap * channels);
}

fn pixel_of(i: u32, height: u32, width: u32) -> Pixel {
    let row = i / width;
    let image = row / height;
    return Pixel(image, row - image * height, i - row * width, 0u);
}

fn strided(p: Pixel) -> Pixel {
    return Pixel(p.image, p.y * params.stride_y, p.x * params.stride_x, 0u);
}

fn row_of(i: u32) -> Pixel {
    switch FORM {
        case INPUT: { return pixel_of(i, params.height, params.width); }
        case WEIGHT: { return tap_of(i, params.channels); }
        default: { return strided(pixel_of(i, params.out_height, params.out_width)); }
    }
}

struct Term {
    k: u32,
    at: Pixel,
}

fn term_of(k: u32) -> Term {
    switch FORM {
        case INPUT: { return Term(k, tap_of(k, params.outputs)); }
        case WEIGHT: { return Term(k, strided(pixel_of(k, params.out_height, params.out_width))); }
        default: { return Term(k, tap_of(k, params.channels)); }
    }
}

// Where FORM is INPUT: the output pixel that the tap reaches from the input pixel, if there is one.
fn load_output(row: Pixel, tap: Pixel) -> f32 {
    let y = row.y + params.pad_y - tap.y;
    let x = row.x + params.pad_x - tap.x;
    let oy = y / params.stride_y;
    let ox = x / params.stride_x;
    // A negative number is a large one.
    let inside = y < 0x80000000u && x < 0x80000000u && oy < params.out_height
        && ox < params.out_width && oy * params.stride_y == y && ox * params.stride_x == x;
    if !inside {
        return 0.0;
    }
    let pixel = (row.image * params.out_height + oy) * params.out_width + ox;
    return a[(pixel * params.groups + channel_group) * params.outputs + tap.channel];
}

fn load_a(row: Pixel, term: Term) -> f32 {
    if FORM == INPUT {
        return load_output(row, term.at);
    }
    let y = row.y + term.at.y - params.pad_y;
    let x = row.x + term.at.x - params.pad_x;
    if y >= params.height || x >= params.width {
        return 0.0;
    }
    let pixel = ((row.image + term.at.image) * params.height + y) * params.width + x;
    let channel = row.channel + term.at.channel;
    return a[(pixel * params.groups + channel_group) * params.channels + channel];
}

fn load_b(term: Term, j: u32) -> f32 {
    var at = (term.k * params.groups + channel_group) * params.outputs + j;
    if FORM == INPUT {
        let tap = term.k / params.outputs;
        at = ((tap * params.channels + j) * params.groups + channel_group) * params.outputs
            + term.at.channel;
    }
    if MASKED && !bit(mask[at / 32u], at) {
        return 0.0;
    }
    return b[at];
}

fn place_of(i: u32, j: u32) -> u32 {
    return (i * params.groups + channel_group) * params.n + j;
}

fn unit_of(j: u32) -> u32 {
    return channel_group * params.n + j;
}
