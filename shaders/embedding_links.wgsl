// links[i] = the next position with the token of position i, of those from `begin` to `end`; itself, where it is the
// last.

@group(0) @binding(0) var<storage, read> tokens: array<f32>;
@group(0) @binding(1) var<storage, read> ends: array<u32>;
@group(0) @binding(2) var<storage, read_write> links: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    begin: u32,
    end: u32,
    rows: u32,
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}

fn row_at(i: u32) -> u32 {
    return min(u32(tokens[i]), params.rows - 1u);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let at = (first_group() + id).x * 256u + lane;
    let i = params.begin + at;
    if i >= params.end {
        return;
    }
    let row = row_at(i);
    let last = ends[row * 2u + 1u];
    var next = min(i + 1u, last);
    // There is one at `last`.
    while (next < last) & (row_at(next) != row) {
        next += 1u;
    }
    links[at] = next;
}
