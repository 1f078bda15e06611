// out[t, c] = sum of gradient[i, c] over the positions i whose token is t, in their order.
//
// An invocation is a column at a position: where a token occurs first it follows the links to the others. Rows of
// tokens that do not occur are left alone.

@group(0) @binding(0) var<storage, read> tokens: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read> ends: array<u32>;
@group(0) @binding(3) var<storage, read> links: array<u32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
    begin: u32, // of the positions of this launch
    len: u32, // positions times columns
    rows: u32,
    columns: u32,
}

override ACCUMULATE: bool = false;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let at = flat_index(id, groups);
    if at >= params.len {
        return;
    }
    let i = params.begin + at / params.columns;
    let column = at % params.columns;
    let row = min(u32(tokens[i]), params.rows - 1u);
    if ends[row * 2u] != i {
        return;
    }
    let last = ends[row * 2u + 1u];
    var sum = gradient[i * params.columns + column];
    for (var j = i; j < last;) {
        j = links[j - params.begin];
        sum += gradient[j * params.columns + column];
    }
    let to = row * params.columns + column;
    if ACCUMULATE {
        sum += out[to];
    }
    out[to] = sum;
}
