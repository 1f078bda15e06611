// Where the weights of a matrix are: [inputs, units], or [units, inputs] where OUTPUTS_FIRST.
override OUTPUTS_FIRST: bool = false;

fn weight_at(input: u32, unit: u32) -> u32 {
    return select(input * params.units + unit, unit * params.inputs + input, OUTPUTS_FIRST);
}

fn input_of(i: u32) -> u32 {
    return select(i / params.units, i % params.inputs, OUTPUTS_FIRST);
}

fn unit_of(i: u32) -> u32 {
    return select(i % params.units, i / params.inputs, OUTPUTS_FIRST);
}
