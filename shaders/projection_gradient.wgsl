// Gradient of one step's projection before it is clipped: `gradient`, and where RECURRENT what the step
// after sends back; 0 where it was clipped.

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> recurrent: array<f32>;
@group(0) @binding(2) var<storage, read> projected: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    rows: u32,
    width: u32,
    time: u32,
    gradient_begin: u32,
    gradient_stride: u32,
    recurrent_begin: u32,
    recurrent_stride: u32,
    clip: f32,
}

override CLIPS: bool = false;
override RECURRENT: bool = false;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let at = flat_index(id, groups);
    if at >= params.rows * params.width {
        return;
    }
    let k = at % params.width;
    let row = at / params.width;
    let place = params.time * params.rows * params.width + at;
    var value = gradient[params.gradient_begin + row * params.gradient_stride + k];
    if RECURRENT {
        value += recurrent[params.recurrent_begin + row * params.recurrent_stride + k];
    }
    if CLIPS && abs(projected[place]) > params.clip {
        value = 0.0;
    }
    out[place] = value;
}
