// max(x, 0) - x t + log(1 + exp(-|x|)), slope sigmoid(x) - t, for the logit x.
//
// No exp is of a positive number, so that none overflows, and max(x, 0) - x t is |x| (1 - t) or |x| t, so that large
// logits do not cancel.

fn loss_of(x: f32, t: f32) -> vec2<f32> {
    let e = exp(-abs(x));
    let p = select(e, 1.0, x > 0.0) / (1.0 + e);
    return vec2(abs(x) * select(t, 1.0 - t, x > 0.0) + log(1.0 + e), p - t);
}
