// |x - t|.

fn metric_of(x: f32, t: f32) -> f32 {
    return abs(x - t);
}
