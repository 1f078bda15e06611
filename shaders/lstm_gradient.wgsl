// Gradient of one step of an LSTM by the sums that its gates began with, from that of h: `gradient`, and
// where RECURRENT what the step after sends back. carry is the gradient of the cells, from the step after
// to the step before; nothing has come yet where LAST.

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> recurrent: array<f32>;
@group(0) @binding(2) var<storage, read> gates: array<f32>;
@group(0) @binding(3) var<storage, read> cells: array<f32>;
@group(0) @binding(4) var<storage, read> peepholes: array<f32>;
@group(0) @binding(5) var<storage, read_write> carry: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

struct Params {
    rows: u32,
    units: u32,
    time: u32,
    gradient_begin: u32,
    gradient_stride: u32,
    recurrent_begin: u32,
    recurrent_stride: u32,
    clip: f32,
}

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
    var of_h = gradient[params.gradient_begin + row * params.gradient_stride + unit];
    if RECURRENT {
        of_h += recurrent[params.recurrent_begin + row * params.recurrent_stride + unit];
    }
    step_back(row, unit, of_h);
}
