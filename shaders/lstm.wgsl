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
    let i = gate_of(row, unit);
    let sums = vec4(
        gates[i],
        gates[i + params.units],
        gates[i + 2u * params.units],
        gates[i + 3u * params.units],
    );
    step_on(row, unit, sums);
}
