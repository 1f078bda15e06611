// Gradient of the second half of a step of a GRU in one launch: what the step after sends back to h
// by the sums of its gates, and then the candidate's (gru_gradient.wgsl). carry has what else goes
// to h'.

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> gates: array<f32>;
@group(0) @binding(3) var<storage, read> candidates: array<f32>;
@group(0) @binding(4) var<storage, read> inputs: array<f32>;
@group(0) @binding(5) var<storage, read_write> carry: array<f32>;
@group(0) @binding(6) var<storage, read_write> of_gates: array<f32>;
@group(0) @binding(7) var<storage, read_write> of_candidates: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

alias Sums = f32;

fn terms() -> u32 {
    return 2u * params.units;
}

fn neighbours_are_terms() -> bool {
    return true;
}

fn state_at(row: u32, k: u32) -> f32 {
    return of_gates[((params.time + 1u) * params.rows + row) * 2u * params.units + k];
}

fn weights_at(k: u32, unit: u32) -> Sums {
    return weight((params.stride - params.units + unit) * 2u * params.units + k);
}

fn finish(row: u32, unit: u32, sums: Sums) {
    let at = row * params.units + unit;
    step_back(at, carry[at] + sums);
}
