// gradient[i] += penalty * (weights[i] - z[i] + u[i]). Of anchor[i] the mask makes z where its bit is
// set, and u where it is clear; the other one is 0. An anchor of 0 pulls nothing: there the gradient
// of a pruned weight is 0.

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> anchor: array<f32>;
@group(0) @binding(3) var<storage, read_write> gradient: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    len: u32,
    penalty: f32,
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
    let kept = bit(mask[i / 32u], i);
    let a = anchor[i];
    let g = gradient[i];
    let pulled = g + params.penalty * (weights[i] + select(a, -a, kept));
    let held = select(0.0, g, kept);
    gradient[i] = select(pulled, held, a == 0.0);
}
