// peaks = 0, for `magnitude_peak` to raise.

@group(0) @binding(0) var<storage, read_write> peaks: array<u32>;
@group(0) @binding(1) var<uniform> params: Params;

struct Params {
    len: u32,
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i < params.len {
        peaks[i] = 0u;
    }
}
