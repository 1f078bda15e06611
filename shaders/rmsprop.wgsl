// RMSProp with momentum (Tieleman and Hinton 2012, TensorFlow's form), with the mask applied in the same
// pass: g += l2 w, s = decay s + (1 - decay) g^2, v = momentum v + rate * g / sqrt(s + e), w -= v.

@group(0) @binding(4) var<storage, read_write> mean_square: array<f32>;
@group(0) @binding(5) var<storage, read_write> velocity: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

struct Params {
    len: u32,
    decay: f32,
    momentum: f32,
    epsilon: f32,
    l2: f32,
}

fn release(i: u32) {
    mean_square[i] = 0.0;
    velocity[i] = 0.0;
}

fn moved(i: u32, w: f32, g: f32) -> f32 {
    let d = g + params.l2 * w;
    let s = params.decay * mean_square[i] + (1.0 - params.decay) * d * d;
    let v = params.momentum * velocity[i] + step.learning_rate * d / sqrt(s + params.epsilon);
    mean_square[i] = s;
    velocity[i] = v;
    return w - v;
}
