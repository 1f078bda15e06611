// out[o, e, k] = x[o, e - begin, k] for e in begin..begin + part, else 0.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    len: u32,
    extent: u32,
    inner: u32,
    begin: u32,
    part: u32,
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.len {
        return;
    }
    let k = i % params.inner;
    let e = i / params.inner % params.extent;
    let o = i / params.inner / params.extent;
    var value = 0.0;
    if e >= params.begin && e - params.begin < params.part {
        value = x[(o * params.part + e - params.begin) * params.inner + k];
    }
    out[i] = value;
}
