// Lion (Chen et al. 2023), with the mask applied in the same pass:
// g += l2 w, w -= rate * (sign(b1 m + (1 - b1) g) + decay * w), m = b2 m + (1 - b2) g.

@group(0) @binding(4) var<storage, read_write> first: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
    len: u32,
    beta1: f32,
    beta2: f32,
    decay: f32,
    l2: f32,
}

fn release(i: u32) {
    first[i] = 0.0;
}

fn moved(i: u32, w: f32, g: f32) -> f32 {
    let d = g + params.l2 * w;
    let m = first[i];
    let towards = sign(params.beta1 * m + (1.0 - params.beta1) * d);
    first[i] = params.beta2 * m + (1.0 - params.beta2) * d;
    return w - step.learning_rate * (towards + params.decay * w);
}
