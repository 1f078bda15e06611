// (x - t)^2, slope 2 (x - t).

fn loss_of(x: f32, t: f32) -> vec2<f32> {
    let d = x - t;
    return vec2(d * d, 2.0 * d);
}
