// out[i, c] = table[tokens[i], c]; the tokens are whole numbers in f32.

@group(0) @binding(0) var<storage, read> tokens: array<f32>;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    len: u32,
    rows: u32,
    columns: u32,
}

override MASKED: bool = false;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.len {
        return;
    }
    let position = i / params.columns;
    let token = min(u32(tokens[position]), params.rows - 1u);
    let at = token * params.columns + i - position * params.columns;
    out[i] = select(table[at], 0.0, MASKED && !bit(mask[at / 32u], at));
}
