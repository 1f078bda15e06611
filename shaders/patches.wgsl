// patches[(n, oy, ox), (ky, kx, c)] = x[n, oy * stride - pad + ky * dilation, ox * ..., c], and 0
// beside the image: what the kernels of a convolution are multiplied with, in the order of their
// weights.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> patches: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    len: u32, // of the patches
    height: u32,
    width: u32,
    channels: u32,
    out_height: u32,
    out_width: u32,
    kernel_height: u32,
    kernel_width: u32,
    stride_y: u32,
    stride_x: u32,
    dilation_y: u32,
    dilation_x: u32,
    pad_y: u32,
    pad_x: u32,
    begin: u32, // of the images in x
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
    let tap = i / params.channels;
    let channel = i - tap * params.channels;
    let line = tap / params.kernel_width;
    let kx = tap - line * params.kernel_width;
    let place = line / params.kernel_height;
    let ky = line - place * params.kernel_height;
    let row = place / params.out_width;
    let ox = place - row * params.out_width;
    let image = row / params.out_height;
    let oy = row - image * params.out_height;
    // Above or left of the image these wrap to beyond it: places are below 2^31.
    let iy = oy * params.stride_y + ky * params.dilation_y - params.pad_y;
    let ix = ox * params.stride_x + kx * params.dilation_x - params.pad_x;
    var value = 0.0;
    if iy < params.height && ix < params.width {
        value = x[params.begin + ((image * params.height + iy) * params.width + ix) * params.channels + channel];
    }
    patches[i] = value;
}
