// w -= rate * (g + decay * w), with the mask applied in the same pass.

@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    len: u32,
    decay: f32,
}

fn release(i: u32) {}

fn moved(i: u32, w: f32, g: f32) -> f32 {
    return w - step.learning_rate * (g + params.decay * w);
}
