// Places of a GRU: gates hold r and z of each row side by side, inputs x and the state behind it.
struct Params {
    rows: u32,
    units: u32,
    length: u32,
    time: u32,
    stride: u32, // of a row of inputs
}

// The gate r of this step; z is `units` further.
fn gate_of(at: u32) -> u32 {
    return (params.time * params.rows + at / params.units) * 2u * params.units + at % params.units;
}

// The state before step `time`.
fn state_of(at: u32, time: u32) -> u32 {
    let row = time * params.rows + at / params.units;
    return (row + 1u) * params.stride - params.units + at % params.units;
}
