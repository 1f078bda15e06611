// What a convolution and its gradients say of rows, columns and terms, as products over images, kernels and results
// whose matrix of patches is never in memory: for the file that binds a, b, c and the extents.
//
// FORWARD  y[n, oy, ox, o] = sum of x[n, iy, ix, c] w[ky, kx, c, o], where iy = oy stride - pad + ky dilation;
// INPUT    x[n, iy, ix, c] = sum of y[n, oy, ox, o] w[ky, kx, c, o] over the same pairs;
// WEIGHT   w[ky, kx, c, o] = sum of x[n, iy, ix, c] y[n, oy, ox, o] over the same pairs.
// Outside of its image x is 0. Channels and outputs are of one group, the third axis of the grid.

const FORWARD: u32 = 0u;
const INPUT: u32 = 1u;
const WEIGHT: u32 = 2u;

override FORM: u32 = FORWARD;

// Where FORM is INPUT and strides are more than 1: not every sum of places is one of a.
override STRIDED: bool = false;

// Extents of the images that a holds, and its channels.
fn size() -> vec3<u32> {
    if FORM == INPUT {
        return vec3(params.out_height, params.out_width, params.outputs);
    }
    return vec3(params.height, params.width, params.channels);
}

// A row's share of a place in a; a term's is added. Numbers below 0 are large ones, and sums wrap back.
struct Row {
    offset: u32,
    y: u32,
    x: u32,
    image: u32,
}

struct Term {
    k: u32,
    outer: u32, // tap of the kernel, or image
    channel: u32,
    y: u32, // of the tap, or of the first pixel that a result's kernel meets
    x: u32,
    offset: u32,
}

fn offset_of(y: u32, x: u32) -> u32 {
    let s = size();
    return (y * s.y + x) * group_count() * s.z;
}

fn new_row(image: u32, y: u32, x: u32, channel: u32) -> Row {
    let s = size();
    return Row(offset_of(image * s.x + y, x) + channel_group * s.z + channel, y, x, image);
}

fn row_of(i: u32) -> Row {
    if FORM == WEIGHT {
        let tap = i / params.channels;
        let ky = tap / params.kernel_width;
        let kx = tap - ky * params.kernel_width;
        return new_row(0u, ky * params.dilation_y, kx * params.dilation_x, i - tap * params.channels);
    }
    let width = select(params.out_width, params.width, FORM == INPUT);
    let height = select(params.out_height, params.height, FORM == INPUT);
    let row = i / width;
    let image = row / height;
    let y = row - image * height;
    let x = i - row * width;
    if FORM == INPUT {
        return new_row(image, y + params.pad_y, x + params.pad_x, 0u);
    }
    return new_row(image, y * params.stride_y - params.pad_y, x * params.stride_x - params.pad_x, 0u);
}

fn new_term(k: u32, outer: u32, channel: u32, y: u32, x: u32) -> Term {
    switch FORM {
        case INPUT: { return Term(k, outer, channel, y, x, channel - offset_of(y, x)); }
        case WEIGHT: {
            return Term(k, outer, channel, y, x, offset_of(outer * params.height + y, x));
        }
        default: { return Term(k, outer, channel, y, x, offset_of(y, x) + channel); }
    }
}

fn term_of(k: u32) -> Term {
    if FORM == WEIGHT {
        let row = k / params.out_width;
        let image = row / params.out_height;
        let oy = row - image * params.out_height;
        let ox = k - row * params.out_width;
        let y = oy * params.stride_y - params.pad_y;
        return new_term(k, image, 0u, y, ox * params.stride_x - params.pad_x);
    }
    let channels = size().z;
    let tap = k / channels;
    let ky = tap / params.kernel_width;
    let kx = tap - ky * params.kernel_width;
    return new_term(k, tap, k - tap * channels, ky * params.dilation_y, kx * params.dilation_x);
}

// As term_of(t.k + 1), without a division.
fn next_term(t: Term) -> Term {
    if FORM == WEIGHT {
        var image = t.outer;
        var y = t.y;
        var x = t.x + params.stride_x;
        if x == params.out_width * params.stride_x - params.pad_x {
            x = 0u - params.pad_x;
            y += params.stride_y;
            if y == params.out_height * params.stride_y - params.pad_y {
                y = 0u - params.pad_y;
                image += 1u;
            }
        }
        return new_term(t.k + 1u, image, 0u, y, x);
    }
    var tap = t.outer;
    var channel = t.channel + 1u;
    var y = t.y;
    var x = t.x;
    if channel == size().z {
        channel = 0u;
        tap += 1u;
        x += params.dilation_x;
        if x == params.kernel_width * params.dilation_x {
            x = 0u;
            y += params.dilation_y;
        }
    }
    return new_term(t.k + 1u, tap, channel, y, x);
}

// As term_of(t.k + count), without a division where it passes a few taps, or a few rows of an image, at most.
fn term_after(t: Term, count: u32) -> Term {
    let line = select(size().z, params.out_width, FORM == WEIGHT);
    if line * 4u < count {
        return term_of(t.k + count);
    }
    var outer = t.outer;
    var y = t.y;
    if FORM == WEIGHT {
        // How far it is to the row's end, wherever the padding begins.
        let wide = params.out_width * params.stride_x;
        var x = t.x + params.pad_x + count * params.stride_x;
        while x >= wide {
            x -= wide;
            y += params.stride_y;
            if y == params.out_height * params.stride_y - params.pad_y {
                y = 0u - params.pad_y;
                outer += 1u;
            }
        }
        return new_term(t.k + count, outer, 0u, y, x - params.pad_x);
    }
    var channel = t.channel + count;
    var x = t.x;
    while channel >= size().z {
        channel -= size().z;
        outer += 1u;
        x += params.dilation_x;
        if x == params.kernel_width * params.dilation_x {
            x = 0u;
            y += params.dilation_y;
        }
    }
    return new_term(t.k + count, outer, channel, y, x);
}

// Where a is at a row and a term, and whether that is inside of the image; else it is 0 there.
struct Place {
    at: u32,
    inside: bool,
}

fn place_in_a(row: Row, t: Term) -> Place {
    let s = size();
    var y = row.y + t.y;
    var x = row.x + t.x;
    if FORM == INPUT {
        y = row.y - t.y;
        x = row.x - t.x;
    }
    var at = row.offset + t.offset;
    var inside = (y < s.x) & (x < s.y);
    if FORM == INPUT && STRIDED {
        let oy = y / params.stride_y;
        let ox = x / params.stride_x;
        // A negative number is a large one.
        inside = (y < 0x80000000u) & (x < 0x80000000u) & (oy < s.x) & (ox < s.y)
            & (oy * params.stride_y == y) & (ox * params.stride_x == x);
        at = offset_of(row.image * s.x + oy, ox) + channel_group * s.z + t.channel;
    }
    return Place(at, inside);
}

fn place_in_b(t: Term, j: u32) -> u32 {
    if FORM == INPUT {
        return ((t.outer * params.channels + j) * group_count() + channel_group) * params.outputs
            + t.channel;
    }
    return (t.k * group_count() + channel_group) * params.outputs + j;
}

// How many terms from t on have neighbouring places in b, where columns have none: those of a tap.
fn neighbours(t: Term) -> u32 {
    return params.outputs - t.channel;
}

fn rows_are_neighbours() -> bool {
    return FORM == WEIGHT;
}

fn columns_are_neighbours() -> bool {
    return FORM != INPUT;
}

fn column_of(j: u32) -> u32 {
    return j;
}

fn unit_of(j: u32) -> u32 {
    return channel_group * params.n + j;
}
