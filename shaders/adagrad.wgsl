// Adagrad (Duchi et al. 2011), with the mask applied in the same pass:
// g += l2 w, s += g^2, w -= rate * g / (sqrt(initial + s) + e).

@group(0) @binding(4) var<storage, read_write> squares: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
    len: u32,
    initial: f32,
    epsilon: f32,
    l2: f32,
}

fn release(i: u32) {
    squares[i] = 0.0;
}

fn moved(i: u32, w: f32, g: f32) -> f32 {
    let d = g + params.l2 * w;
    let s = squares[i] + d * d;
    squares[i] = s;
    return w - step.learning_rate * d / (sqrt(params.initial + s) + params.epsilon);
}
