// v = momentum * v + g + decay * w, then w -= rate * v (Nesterov: rate * (g + decay * w + momentum * v)),
// with the mask applied in the same pass.

@group(0) @binding(4) var<storage, read_write> velocity: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
    len: u32,
    momentum: f32,
    decay: f32,
}

override NESTEROV: bool = false;

fn release(i: u32) {
    velocity[i] = 0.0;
}

fn moved(i: u32, w: f32, g: f32) -> f32 {
    let d = g + params.decay * w;
    let v = params.momentum * velocity[i] + d;
    velocity[i] = v;
    return w - step.learning_rate * select(v, d + params.momentum * v, NESTEROV);
}
