// What the second half of a step of a GRU makes of the sum of a unit's candidate.
fn step_on(at: u32, sum: f32) {
    let candidate = tanh_of(sum);
    candidates[params.time * params.rows * params.units + at] = candidate;
    let z = gates[gate_of(at) + params.units];
    inputs[state_of(at, params.time + 1u)] =
        z * inputs[state_of(at, params.time)] + (1.0 - z) * candidate;
}
