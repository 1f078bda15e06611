// The bit of input i and unit u in protect is set where i == peaks[u]: one weight of each output unit. One invocation a word.

@group(0) @binding(0) var<storage, read> peaks: array<u32>;
@group(0) @binding(1) var<storage, read_write> protect: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    inputs: u32,
    units: u32,
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let word = flat_index(id, groups);
    let len = params.inputs * params.units;
    if word * 32u >= len {
        return;
    }
    var bits = 0u;
    for (var n = 0u; n < 32u; n += 1u) {
        let i = word * 32u + n;
        if i < len {
            bits |= u32(peaks[unit_of(i)] == input_of(i)) << n;
        }
    }
    protect[word] = bits;
}
