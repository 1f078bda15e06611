// ends[t] = the first and the last of the positions `begin` to `end` whose token is t.

@group(0) @binding(0) var<storage, read> tokens: array<f32>;
@group(0) @binding(1) var<storage, read_write> ends: array<atomic<u32>>; // least and largest are the same in any order
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    begin: u32,
    end: u32,
    rows: u32,
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = params.begin + flat_index(id, groups);
    if i < params.end {
        let row = min(u32(tokens[i]), params.rows - 1u);
        atomicMin(&ends[row * 2u], i);
        atomicMax(&ends[row * 2u + 1u], i);
    }
}
