// The operands of a product of halves, one at a time. a and b are what `f16_copy` leaves.
@group(0) @binding(0) var<storage, read> a: array<f16>;
@group(0) @binding(1) var<storage, read> b: array<f16>;

fn load_a(i: Row, k: Term) -> f32 {
    if TRANS_A {
        return f32(a[k * params.a_stride + i]);
    }
    return f32(a[i * params.a_stride + k]);
}

fn place_in_b(k: Term, j: u32) -> u32 {
    if TRANS_B {
        return j * params.b_stride + k;
    }
    return k * params.b_stride + j;
}

fn value_in_b(at: u32) -> f32 {
    return f32(b[at]);
}

fn load_b(k: Term, j: u32) -> f32 {
    return value_in_b(place_in_b(k, j));
}

// Copies are of masked values.
const MASKED: bool = false;

fn word_of_mask(i: u32) -> u32 {
    return 0u;
}

// One after the other: the product of both may be no f32.
fn unscaled(sum: f32) -> f32 {
    return sum * power_back(params.a_peak) * power_back(params.b_peak);
}
