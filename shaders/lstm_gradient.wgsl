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

override PEEPHOLES: bool = false;
override CLIPS: bool = false;
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
    let i = (params.time * params.rows + row) * 4u * params.units + unit;
    let j = i + params.units;
    let f = j + params.units;
    let o = f + params.units;
    let before = params.time * params.rows * params.units + at;
    let after = before + params.rows * params.units;
    var of_h = gradient[params.gradient_begin + row * params.gradient_stride + unit];
    if RECURRENT {
        of_h += recurrent[params.recurrent_begin + row * params.recurrent_stride + unit];
    }
    let input_gate = gates[i];
    let candidate = gates[j];
    let forget_gate = gates[f];
    let output_gate = gates[o];
    let squashed = tanh_of(cells[after]);
    let of_o = of_h * squashed * output_gate * (1.0 - output_gate);
    var of_c = of_h * output_gate * (1.0 - squashed * squashed);
    if !LAST {
        of_c += carry[at];
    }
    if PEEPHOLES {
        of_c += of_o * peepholes[2u * params.units + unit];
    }
    let c = cells[before];
    if CLIPS && abs(forget_gate * c + input_gate * candidate) > params.clip {
        of_c = 0.0;
    }
    let of_i = of_c * candidate * input_gate * (1.0 - input_gate);
    let of_f = of_c * c * forget_gate * (1.0 - forget_gate);
    out[i] = of_i;
    out[j] = of_c * input_gate * (1.0 - candidate * candidate);
    out[f] = of_f;
    out[o] = of_o;
    var back = of_c * forget_gate;
    if PEEPHOLES {
        back += of_i * peepholes[unit] + of_f * peepholes[params.units + unit];
    }
    carry[at] = back;
}
