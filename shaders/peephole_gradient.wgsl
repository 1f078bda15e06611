// What each row of each step adds to the gradient of the peepholes of an LSTM: those of i and f have seen
// the cell before the step, that of o the one after it.

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> cells: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    rows: u32,
    units: u32,
    length: u32,
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let at = flat_index(id, groups);
    if at >= params.length * params.rows * params.units {
        return;
    }
    let unit = at % params.units;
    let row = at / params.units;
    let i = row * 4u * params.units + unit;
    let f = i + 2u * params.units;
    let o = f + params.units;
    let to = row * 3u * params.units + unit;
    let before = cells[at];
    let after = cells[at + params.rows * params.units];
    out[to] = gradient[i] * before;
    out[to + params.units] = gradient[f] * before;
    out[to + 2u * params.units] = gradient[o] * after;
}
