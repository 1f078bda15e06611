// First half of a step of a GRU: the gates r and z are the sigmoids of the sums that they begin with, and
// the candidate will read r h.
//
// inputs and resets hold what a product reads at each step: x, and behind it the state.

@group(0) @binding(0) var<storage, read> inputs: array<f32>;
@group(0) @binding(1) var<storage, read_write> gates: array<f32>;
@group(0) @binding(2) var<storage, read_write> resets: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let at = flat_index(id, groups);
    if at >= params.rows * params.units {
        return;
    }
    let r = gate_of(at);
    reset(at, vec2(gates[r], gates[r + params.units]));
}
