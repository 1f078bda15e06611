// y[n, oy, ox, c] = the largest of x[n, iy, ix, c] in the window, or their mean where MEAN, without padding.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.images * params.out_height * params.out_width * params.channels {
        return;
    }
    let place = i / params.channels;
    let channel = i - place * params.channels;
    let row = place / params.out_width;
    let image = row / params.out_height;
    let window = window_of(row - image * params.out_height, place - row * params.out_width);
    var sum = 0.0;
    var highest = x[pixel(image, window.begin.x, window.begin.y, channel)];
    for (var iy = window.begin.x; iy < window.end.x; iy += 1u) {
        for (var ix = window.begin.y; ix < window.end.y; ix += 1u) {
            let value = x[pixel(image, iy, ix, channel)];
            sum += value;
            // A NaN stays, which max() does not promise.
            if is_nan(value) {
                highest = value;
            } else if !is_nan(highest) {
                highest = max(highest, value);
            }
        }
    }
    let count = (window.end.x - window.begin.x) * (window.end.y - window.begin.y);
    y[i] = select(highest, sum / f32(count), MEAN);
}
