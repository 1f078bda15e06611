// Windows over images [images, height, width, channels], and the results [images, out_height, out_width, channels].
struct Params {
    images: u32,
    height: u32,
    width: u32,
    channels: u32,
    out_height: u32,
    out_width: u32,
    window_height: u32,
    window_width: u32,
    stride_y: u32,
    stride_x: u32,
    pad_y: u32,
    pad_x: u32,
}

override MEAN: bool = false;

// The pixels of a window that are inside of the image: from `begin`, to before `end`.
struct Window {
    begin: vec2<u32>,
    end: vec2<u32>,
}

fn window_of(oy: u32, ox: u32) -> Window {
    let first = vec2(oy * params.stride_y, ox * params.stride_x);
    let pad = vec2(params.pad_y, params.pad_x);
    let past = first + vec2(params.window_height, params.window_width);
    let size = vec2(params.height, params.width);
    return Window(max(first, pad) - pad, min(max(past, pad) - pad, size));
}

fn pixel(image: u32, y: u32, x: u32, channel: u32) -> u32 {
    return ((image * params.height + y) * params.width + x) * params.channels + channel;
}
