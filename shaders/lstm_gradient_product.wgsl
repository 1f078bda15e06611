// Gradient of a step of an LSTM by its gates' sums in one launch: what the step after sends back to
// h, by the gradient of its gates' sums in `out`, and then the cell's (lstm_gradient.wgsl).

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read> gates: array<f32>;
@group(0) @binding(4) var<storage, read> cells: array<f32>;
@group(0) @binding(5) var<storage, read> peepholes: array<f32>;
@group(0) @binding(6) var<storage, read_write> carry: array<f32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

struct Params {
    rows: u32,
    units: u32,
    terms: u32,
    first_row: u32, // of the weights, that states are multiplied with
    time: u32,
    gradient_begin: u32,
    gradient_stride: u32,
    clip: f32,
}

const LAST: bool = false;

alias Sums = f32;

fn terms() -> u32 {
    return params.terms;
}

fn neighbours_are_terms() -> bool {
    return true;
}

fn state_at(row: u32, k: u32) -> f32 {
    return out[((params.time + 1u) * params.rows + row) * params.terms + k];
}

fn weights_at(k: u32, unit: u32) -> Sums {
    return weight((params.first_row + unit) * params.terms + k);
}

fn finish(row: u32, unit: u32, sums: Sums) {
    let of_h = gradient[params.gradient_begin + row * params.gradient_stride + unit];
    step_back(row, unit, of_h + sums);
}
