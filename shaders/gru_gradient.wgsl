// Gradient of the second half of a step of a GRU by the sums of candidate and z, from that of h':
// `gradient`, where not LAST also carry, and where RECURRENT what the step after sends back.
// carry becomes what goes straight to h.

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> recurrent: array<f32>;
@group(0) @binding(2) var<storage, read> gates: array<f32>;
@group(0) @binding(3) var<storage, read> candidates: array<f32>;
@group(0) @binding(4) var<storage, read> inputs: array<f32>;
@group(0) @binding(5) var<storage, read_write> carry: array<f32>;
@group(0) @binding(6) var<storage, read_write> of_gates: array<f32>;
@group(0) @binding(7) var<storage, read_write> of_candidates: array<f32>;
@group(0) @binding(8) var<uniform> params: Params;

override RECURRENT: bool = false;
override LAST: bool = false;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let at = flat_index(id, groups);
    if at >= params.rows * params.units {
        return;
    }
    let unit = at % params.units;
    let row = at / params.units;
    var of_h = gradient[(row * params.length + params.time) * params.units + unit];
    if RECURRENT {
        of_h += recurrent[at];
    }
    if !LAST {
        of_h += carry[at];
    }
    step_back(at, of_h);
}
