// Gradient of the first half of a step of a GRU by the sum of r, from that of r h; the result is what goes to h.
fn reset_back(at: u32, of_product: f32) -> f32 {
    let r_place = gate_of(at);
    let r = gates[r_place];
    of_gates[r_place] = of_product * inputs[state_of(at, params.time)] * r * (1.0 - r);
    return of_product * r;
}
