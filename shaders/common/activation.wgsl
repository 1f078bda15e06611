// Activations, and their slopes: as functions of the output, or, from GELU on, of the input.
//
// Kernels that do the same in one pass or in two promise the same bits, so a product that is added to is written as
// fma(): of x * y + z a compiler may make one rounding here and two there.
const IDENTITY: u32 = 0u;
const RELU: u32 = 1u;
const TANH: u32 = 2u;
const SIGMOID: u32 = 3u;
const GELU: u32 = 4u;
const GELU_TANH: u32 = 5u;
const SILU: u32 = 6u;

// `value`, but of a NaN the NaN: max() and clamp() may turn one into a number, and what went wrong must be seen. On
// bits, since an adapter may take for granted that there is no NaN.
fn unless_nan(x: f32, value: f32) -> f32 {
    return select(value, x, (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u);
}

// Saturates instead of overflowing: beyond 10 tanh is 1 in f32.
fn tanh_of(x: f32) -> f32 {
    return unless_nan(x, 1.0 - 2.0 / (exp(2.0 * clamp(x, -10.0, 10.0)) + 1.0));
}

// Its exponential stays finite, and below -80 the sigmoid is 0 beside anything.
fn sigmoid_of(x: f32) -> f32 {
    return unless_nan(x, 1.0 / (1.0 + exp(-max(x, -80.0))));
}

// The share of a normal distribution below x, by Abramowitz and Stegun 7.1.26: off by 7.5e-8 at most, and by the
// roundings of its sum.
fn share_below(x: f32) -> f32 {
    let z = 0.7071067812 * abs(x);
    let t = 1.0 / fma(0.3275911, z, 1.0);
    let inner = fma(t, fma(t, fma(t, fma(t, 1.061405429, -1.453152027), 1.421413741), -0.284496736), 0.254829592);
    let tail = 0.5 * t * inner * exp(-z * z);
    return select(tail, 1.0 - tail, x >= 0.0);
}

// sqrt(2 / pi) (x + 0.044715 x^3)
fn gelu_inner(x: f32) -> f32 {
    return 0.7978845608 * fma(0.044715 * x * x, x, x);
}

fn activate(kind: u32, x: f32) -> f32 {
    switch kind {
        case RELU: { return unless_nan(x, max(x, 0.0)); }
        case TANH: { return tanh_of(x); }
        case SIGMOID: { return sigmoid_of(x); }
        case GELU: { return x * share_below(x); }
        case GELU_TANH: { return 0.5 * x * (1.0 + tanh_of(gelu_inner(x))); }
        case SILU: { return x * sigmoid_of(x); }
        default: { return x; }
    }
}

fn slope(kind: u32, at: f32) -> f32 {
    switch kind {
        case RELU: { return select(0.0, 1.0, at > 0.0); }
        case TANH: { return fma(-at, at, 1.0); }
        case SIGMOID: { return at * (1.0 - at); }
        case GELU: { return fma(0.3989422804 * at, exp(-0.5 * at * at), share_below(at)); }
        case GELU_TANH: {
            let t = tanh_of(gelu_inner(at));
            let inner = 0.7978845608 * fma(0.134145 * at, at, 1.0);
            return fma(0.5 * at * fma(-t, t, 1.0), inner, 0.5 * (1.0 + t));
        }
        case SILU: {
            let s = sigmoid_of(at);
            return s * fma(at, 1.0 - s, 1.0);
        }
        default: { return 1.0; }
    }
}
