// out[n, iy, ix, c] = sum of gradient[n, oy, ox, c] over the windows that hold the pixel: all of them over
// their sizes where MEAN, else those of which it is the first largest, row by row.
//
// Where windows lie APART an invocation has a window, and all pixels from its first to the next
// window's: each is read once, and written once. Else it has a pixel, and asks each window.

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

override APART: bool = false;

// Whether x at (y, x) is the largest of the window, and no pixel before it is as large.
fn leads(window: Window, image: u32, at: vec2<u32>, channel: u32) -> bool {
    let own = x[pixel(image, at.x, at.y, channel)];
    for (var iy = window.begin.x; iy < window.end.x; iy += 1u) {
        for (var ix = window.begin.y; ix < window.end.y; ix += 1u) {
            let value = x[pixel(image, iy, ix, channel)];
            let before = iy < at.x || (iy == at.x && ix < at.y);
            if value > own || (before && value == own) {
                return false;
            }
        }
    }
    return true;
}

// Where the first pixel of the windows from `place` on is, the first ones' being 0 and those past
// the last ones' the image's end.
fn first_of(place: vec2<u32>) -> vec2<u32> {
    let begin = place * vec2(params.stride_y, params.stride_x);
    let inside = max(begin, vec2(params.pad_y, params.pad_x)) - vec2(params.pad_y, params.pad_x);
    let past = place >= vec2(params.out_height, params.out_width);
    return select(inside, vec2(params.height, params.width), past);
}

fn one_window(i: u32) {
    let place = i / params.channels;
    let channel = i - place * params.channels;
    let row = place / params.out_width;
    let image = row / params.out_height;
    let at = vec2(row - image * params.out_height, place - row * params.out_width);
    let window = window_of(at.x, at.y);
    let g = gradient[i];
    let count = (window.end.x - window.begin.x) * (window.end.y - window.begin.y);
    var largest = window.begin;
    if !MEAN {
        var most = x[pixel(image, largest.x, largest.y, channel)];
        for (var iy = window.begin.x; iy < window.end.x; iy += 1u) {
            for (var ix = window.begin.y; ix < window.end.y; ix += 1u) {
                let value = x[pixel(image, iy, ix, channel)];
                if value > most {
                    most = value;
                    largest = vec2(iy, ix);
                }
            }
        }
    }
    let begin = first_of(at);
    let end = first_of(at + vec2(1u));
    for (var iy = begin.x; iy < end.x; iy += 1u) {
        for (var ix = begin.y; ix < end.y; ix += 1u) {
            var share = select(0.0, g, iy == largest.x && ix == largest.y);
            if MEAN {
                share = select(0.0, g / f32(count), iy < window.end.x && ix < window.end.y);
            }
            out[pixel(image, iy, ix, channel)] = share;
        }
    }
}

fn one_pixel(i: u32) {
    let place = i / params.channels;
    let channel = i - place * params.channels;
    let row = place / params.width;
    let image = row / params.height;
    let at = vec2(row - image * params.height, place - row * params.width);
    let padded = at + vec2(params.pad_y, params.pad_x);
    let size = vec2(params.window_height, params.window_width);
    let stride = vec2(params.stride_y, params.stride_x);
    // The first window that reaches the pixel, and one past the last that begins before it.
    let begin = (max(padded + vec2(1u), size) - size + stride - vec2(1u)) / stride;
    let end = min(padded / stride + vec2(1u), vec2(params.out_height, params.out_width));
    var sum = 0.0;
    for (var oy = begin.x; oy < end.x; oy += 1u) {
        for (var ox = begin.y; ox < end.y; ox += 1u) {
            let window = window_of(oy, ox);
            let result = (image * params.out_height + oy) * params.out_width + ox;
            let g = gradient[result * params.channels + channel];
            if MEAN {
                let count = (window.end.x - window.begin.x) * (window.end.y - window.begin.y);
                sum += g / f32(count);
            } else if leads(window, image, at, channel) {
                sum += g;
            }
        }
    }
    out[i] = sum;
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    let places = select(params.height * params.width, params.out_height * params.out_width, APART);
    if i >= params.images * places * params.channels {
        return;
    }
    if APART {
        one_window(i);
    } else {
        one_pixel(i);
    }
}
