// out = 0, where it is cleared; ends[t] = none, for each row t of the table.

@group(0) @binding(0) var<storage, read_write> ends: array<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    len: u32, // of what is cleared of out
    rows: u32,
}

const NONE: u32 = 0xffffffffu;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i < params.rows {
        ends[i * 2u] = NONE;
        ends[i * 2u + 1u] = 0u;
    }
    if i < params.len {
        out[i] = 0.0;
    }
}
