// 1 where the logit x and the target t say the same, (x > 0) == (t > 0.5), else 0; a NaN logit says nothing.

fn metric_of(x: f32, t: f32) -> f32 {
    return select(0.0, 1.0, (x > 0.0) == (t > 0.5) && !is_nan(x));
}
