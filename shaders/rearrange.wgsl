// out[at(to; i, j, k)] = x[at(from; i, j, k)], where at(p; i, j, k) = p_begin + i p_outer + j p_inner + k,
// between -limit and limit where LIMITS, added to what is there where ADDS.
//
// Where RESUMES it is 0 in a batch whose rows do not go on from those of the batch before.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    outer: u32,
    inner: u32,
    width: u32,
    from_begin: u32,
    from_outer: u32,
    from_inner: u32,
    to_begin: u32,
    to_outer: u32,
    to_inner: u32,
    limit: f32,
}

override LIMITS: bool = false;
override ADDS: bool = false;
override RESUMES: bool = false;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let at = flat_index(id, groups);
    if at >= params.outer * params.inner * params.width {
        return;
    }
    let k = at % params.width;
    let j = at / params.width % params.inner;
    let i = at / params.width / params.inner;
    var value = x[params.from_begin + i * params.from_outer + j * params.from_inner + k];
    if LIMITS {
        // A NaN stays one, which clamp() does not promise.
        value = select(clamp(value, -params.limit, params.limit), value, is_nan(value));
    }
    if RESUMES && step.follows == 0u {
        value = 0.0;
    }
    let place = params.to_begin + i * params.to_outer + j * params.to_inner + k;
    if ADDS {
        value += out[place];
    }
    out[place] = value;
}
