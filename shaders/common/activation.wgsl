// Activations, and their slopes as functions of the output.
const IDENTITY: u32 = 0u;
const RELU: u32 = 1u;
const TANH: u32 = 2u;

fn activate(kind: u32, x: f32) -> f32 {
    switch kind {
        case RELU: { return max(x, 0.0); }
        // Saturates instead of overflowing: beyond 10 tanh is 1 in f32.
        case TANH: { return 1.0 - 2.0 / (exp(2.0 * clamp(x, -10.0, 10.0)) + 1.0); }
        default: { return x; }
    }
}

fn slope(kind: u32, y: f32) -> f32 {
    switch kind {
        case RELU: { return select(0.0, 1.0, y > 0.0); }
        case TANH: { return 1.0 - y * y; }
        default: { return 1.0; }
    }
}
