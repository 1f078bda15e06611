// First half of a step of a GRU in one launch: what the states add to the sums of inputs and bias
// of r and z, and then the gates (gru_reset.wgsl).

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> inputs: array<f32>;
@group(0) @binding(3) var<storage, read_write> gates: array<f32>;
@group(0) @binding(4) var<storage, read_write> resets: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

alias Sums = vec2<f32>;

fn terms() -> u32 {
    return params.units;
}

fn neighbours_are_terms() -> bool {
    return false;
}

fn state_at(row: u32, k: u32) -> f32 {
    return inputs[state_of(row * params.units + k, params.time)];
}

fn weights_at(k: u32, unit: u32) -> Sums {
    let at = (params.stride - params.units + k) * 2u * params.units + unit;
    return vec2(weight(at), weight(at + params.units));
}

fn finish(row: u32, unit: u32, sums: Sums) {
    let at = row * params.units + unit;
    let r = gate_of(at);
    reset(at, sums + vec2(gates[r], gates[r + params.units]));
}
