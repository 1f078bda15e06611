// out[n, iy, ix, c] = sum of gradient[n, oy, ox, c] over the windows that hold the pixel: all of them over
// their sizes where MEAN, else those of which it is the first largest, row by row.

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

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

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.images * params.height * params.width * params.channels {
        return;
    }
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
