// The operands of a product of halves, one at a time, for the file that knows their places. a and b are what `f16_copy`
// leaves.
@group(0) @binding(0) var<storage, read> a: array<f16>;
@group(0) @binding(1) var<storage, read> b: array<f16>;

fn load_a(i: Row, k: Term) -> f32 {
    let place = place_in_a(i, k);
    var value = 0.0;
    if place.inside {
        value = f32(a[place.at]);
    }
    return value;
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
