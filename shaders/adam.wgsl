// Adam with bias correction (Kingma and Ba 2015, algorithm 1) and decoupled weight decay (Loshchilov
// and Hutter 2019), with the mask applied in the same pass: g += l2 w,
// m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, w -= rate * (m / c1 / (sqrt(v / c2) + e) + decay * w).
// TensorFlow corrects the rate, rate * sqrt(c2) / c1 * m / (sqrt(v) + e): that is e / sqrt(c2) in the place of e.

@group(0) @binding(4) var<storage, read_write> first: array<f32>;
@group(0) @binding(5) var<storage, read_write> second: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

struct Params {
    len: u32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    decay: f32,
    l2: f32,
}

override TENSORFLOW: bool = false;

fn release(i: u32) {
    first[i] = 0.0;
    second[i] = 0.0;
}

fn moved(i: u32, w: f32, g: f32) -> f32 {
    let d = g + params.l2 * w;
    let m = params.beta1 * first[i] + (1.0 - params.beta1) * d;
    let v = params.beta2 * second[i] + (1.0 - params.beta2) * d * d;
    first[i] = m;
    second[i] = v;
    var epsilon = params.epsilon;
    if TENSORFLOW {
        epsilon /= sqrt(step.correction2);
    }
    let move_by = m / step.correction1 / (sqrt(v / step.correction2) + epsilon);
    return w - step.learning_rate * (move_by + params.decay * w);
}
