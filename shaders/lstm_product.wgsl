// A step of an LSTM in one launch: what the states before add to the gates' sums of inputs and
// bias, and then the cell (lstm.wgsl). The states are in `out`, or in `projected` where PROJECTED.

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> peepholes: array<f32>;
@group(0) @binding(3) var<storage, read> projected: array<f32>;
@group(0) @binding(4) var<storage, read_write> gates: array<f32>;
@group(0) @binding(5) var<storage, read_write> cells: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

struct Params {
    rows: u32,
    units: u32,
    terms: u32,
    first_row: u32, // of the weights, that states are multiplied with
    time: u32,
    in_begin: u32,
    in_stride: u32,
    out_begin: u32,
    out_stride: u32,
    forget_bias: f32,
    clip: f32,
}

override PROJECTED: bool = false;

alias Sums = vec4<f32>;

fn terms() -> u32 {
    return params.terms;
}

fn neighbours_are_terms() -> bool {
    return false;
}

fn state_at(row: u32, k: u32) -> f32 {
    let at = params.in_begin + row * params.in_stride + k;
    var value = 0.0;
    if PROJECTED {
        value = projected[at];
    } else {
        value = out[at];
    }
    return value;
}

fn weights_at(k: u32, unit: u32) -> Sums {
    let at = (params.first_row + k) * 4u * params.units + unit;
    return vec4(
        weight(at),
        weight(at + params.units),
        weight(at + 2u * params.units),
        weight(at + 3u * params.units),
    );
}

fn finish(row: u32, unit: u32, sums: Sums) {
    let i = gate_of(row, unit);
    let of_inputs = vec4(
        gates[i],
        gates[i + params.units],
        gates[i + 2u * params.units],
        gates[i + 3u * params.units],
    );
    step_on(row, unit, sums + of_inputs);
}
