// What a step of an LSTM makes of the sums of a unit's gates i, j, f and o: gates, cell and output.
override PEEPHOLES: bool = false;
override CLIPS: bool = false;

fn gate_of(row: u32, unit: u32) -> u32 {
    return (params.time * params.rows + row) * 4u * params.units + unit;
}

fn step_on(row: u32, unit: u32, sums: vec4<f32>) {
    let i = gate_of(row, unit);
    let before = (params.time * params.rows + row) * params.units + unit;
    let c = cells[before];
    var at_i = sums.x;
    var at_f = sums.z + params.forget_bias;
    if PEEPHOLES {
        at_i += peepholes[unit] * c;
        at_f += peepholes[params.units + unit] * c;
    }
    let input_gate = sigmoid_of(at_i);
    let forget_gate = sigmoid_of(at_f);
    let candidate = tanh_of(sums.y);
    var next = forget_gate * c + input_gate * candidate;
    if CLIPS {
        next = unless_nan(next, clamp(next, -params.clip, params.clip));
    }
    var at_o = sums.w;
    if PEEPHOLES {
        at_o += peepholes[2u * params.units + unit] * next;
    }
    let output_gate = sigmoid_of(at_o);
    gates[i] = input_gate;
    gates[i + params.units] = candidate;
    gates[i + 2u * params.units] = forget_gate;
    gates[i + 3u * params.units] = output_gate;
    cells[before + params.rows * params.units] = next;
    out[params.out_begin + row * params.out_stride + unit] = output_gate * tanh_of(next);
}
