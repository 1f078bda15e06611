// One step of an LSTM: c' = sigmoid(f + forget_bias + p_f c) c + sigmoid(i + p_i c) tanh(j),
// h = sigmoid(o + p_o c') tanh(c'), with c' between -clip and clip where CLIPS.
//
// gates hold i, j, f, o of each row side by side: sums before, their non-linearities after.

@group(0) @binding(0) var<storage, read> peepholes: array<f32>;
@group(0) @binding(1) var<storage, read_write> gates: array<f32>;
@group(0) @binding(2) var<storage, read_write> cells: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    rows: u32,
    units: u32,
    time: u32,
    out_begin: u32,
    out_stride: u32,
    forget_bias: f32,
    clip: f32,
}

override PEEPHOLES: bool = false;
override CLIPS: bool = false;

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
    let c = cells[before];
    var at_i = gates[i];
    var at_f = gates[f] + params.forget_bias;
    if PEEPHOLES {
        at_i += peepholes[unit] * c;
        at_f += peepholes[params.units + unit] * c;
    }
    let input_gate = sigmoid_of(at_i);
    let forget_gate = sigmoid_of(at_f);
    let candidate = tanh_of(gates[j]);
    var next = forget_gate * c + input_gate * candidate;
    if CLIPS {
        next = unless_nan(next, clamp(next, -params.clip, params.clip));
    }
    var at_o = gates[o];
    if PEEPHOLES {
        at_o += peepholes[2u * params.units + unit] * next;
    }
    let output_gate = sigmoid_of(at_o);
    gates[i] = input_gate;
    gates[j] = candidate;
    gates[f] = forget_gate;
    gates[o] = output_gate;
    cells[after] = next;
    out[params.out_begin + row * params.out_stride + unit] = output_gate * tanh_of(next);
}
