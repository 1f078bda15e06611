// Gradient of the first half of a step of a GRU in one launch: what its candidates send back to r
// h, and then the gate's (gru_reset_gradient.wgsl). carry gets all that goes to h: the gradient of
// the output before, too, where there is one.

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read> gates: array<f32>;
@group(0) @binding(4) var<storage, read> inputs: array<f32>;
@group(0) @binding(5) var<storage, read> of_candidates: array<f32>;
@group(0) @binding(6) var<storage, read_write> carry: array<f32>;
@group(0) @binding(7) var<storage, read_write> of_gates: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

alias Sums = f32;

fn terms() -> u32 {
    return params.units;
}

fn neighbours_are_terms() -> bool {
    return true;
}

fn state_at(row: u32, k: u32) -> f32 {
    return of_candidates[(params.time * params.rows + row) * params.units + k];
}

fn weights_at(k: u32, unit: u32) -> Sums {
    return weight((params.stride - params.units + unit) * params.units + k);
}

fn finish(row: u32, unit: u32, sums: Sums) {
    let at = row * params.units + unit;
    var to_h = reset_back(at, sums);
    if params.time > 0u {
        to_h += gradient[(row * params.length + params.time - 1u) * params.units + unit];
    }
    carry[at] += to_h;
}
