// g = multiplier * g, and not beyond +-value.

@group(0) @binding(0) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;

struct Params {
    len: u32,
    multiplier: f32,
    value: f32,
}

override BOUNDED: bool = false;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.len {
        return;
    }
    let g = params.multiplier * gradient[i];
    // NaN and infinities stay what they are, which clamp() does not promise: a clip must not hide them.
    let finite = (bitcast<u32>(g) & 0x7f800000u) != 0x7f800000u;
    gradient[i] = select(g, clamp(g, -params.value, params.value), BOUNDED && finite);
}
