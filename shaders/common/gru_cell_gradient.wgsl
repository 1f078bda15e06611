// Gradient of the second half of a step of a GRU by the sums of candidate and z, from that of h'; carry becomes what
// goes straight to h.
fn step_back(at: u32, of_h: f32) {
    let c = params.time * params.rows * params.units + at;
    let z_place = gate_of(at) + params.units;
    let z = gates[z_place];
    let candidate = candidates[c];
    let h = inputs[state_of(at, params.time)];
    of_candidates[c] = of_h * (1.0 - z) * (1.0 - candidate * candidate);
    of_gates[z_place] = of_h * (h - candidate) * z * (1.0 - z);
    carry[at] = of_h * z;
}
