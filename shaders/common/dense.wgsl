// What a product of dense matrices reads and where it stores, for the file that has a, b, the mask
// and their extents.
override MASKED: bool = false;

fn load_a(i: Row, k: Term) -> f32 {
    if TRANS_A {
        return a[params.a_begin + k * params.m + i];
    }
    return a[params.a_begin + i * params.k + k];
}

fn place_in_b(k: Term, j: u32) -> u32 {
    if TRANS_B {
        return j * params.k + k;
    }
    return k * params.n + j;
}

fn load_b(k: Term, j: u32) -> f32 {
    let at = place_in_b(k, j);
    if MASKED && !bit(mask[at / 32u], at) {
        return 0.0;
    }
    return b[at];
}

fn value_in_b(at: u32) -> f32 {
    return b[at];
}

fn word_of_mask(i: u32) -> u32 {
    return mask[min(i, arrayLength(&mask) - 1u)];
}

fn unscaled(sum: f32) -> f32 {
    return sum;
}

fn column_of(j: u32) -> u32 {
    return j + params.first_column;
}

fn place_of(i: u32, j: u32) -> u32 {
    return params.c_begin + i * params.n + j;
}
