// Gradient of one step of an LSTM by the sums that its gates began with, from that of h. carry is the gradient of the
// cells, from the step after to the step before; nothing has come yet where LAST.
override PEEPHOLES: bool = false;
override CLIPS: bool = false;

fn step_back(row: u32, unit: u32, of_h: f32) {
    let at = row * params.units + unit;
    let i = (params.time * params.rows + row) * 4u * params.units + unit;
    let j = i + params.units;
    let f = j + params.units;
    let o = f + params.units;
    let before = params.time * params.rows * params.units + at;
    let after = before + params.rows * params.units;
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
