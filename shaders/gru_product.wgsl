// Second half of a step of a GRU in one launch: what the states after their reset add to the sums
// of inputs and bias, and then the candidate (gru.wgsl).

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> resets: array<f32>;
@group(0) @binding(3) var<storage, read> gates: array<f32>;
@group(0) @binding(4) var<storage, read_write> candidates: array<f32>;
@group(0) @binding(5) var<storage, read_write> inputs: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

alias Sums = f32;

fn terms() -> u32 {
    return params.units;
}

fn neighbours_are_terms() -> bool {
    return false;
}

fn state_at(row: u32, k: u32) -> f32 {
    return resets[state_of(row * params.units + k, params.time)];
}

fn weights_at(k: u32, unit: u32) -> Sums {
    return weight((params.stride - params.units + k) * params.units + unit);
}

fn finish(row: u32, unit: u32, sums: Sums) {
    let at = row * params.units + unit;
    step_on(at, sums + candidates[params.time * params.rows * params.units + at]);
}
