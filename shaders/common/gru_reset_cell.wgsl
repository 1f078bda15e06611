// What the first half of a step of a GRU makes of the sums of a unit's gates r and z.
fn reset(at: u32, sums: vec2<f32>) {
    let r = gate_of(at);
    let value = sigmoid_of(sums.x);
    gates[r] = value;
    gates[r + params.units] = sigmoid_of(sums.y);
    let state = state_of(at, params.time);
    resets[state] = value * inputs[state];
}
