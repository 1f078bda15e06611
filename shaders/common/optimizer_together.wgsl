// As optimizer.wgsl, for several tensors side by side, each of which begins with a workgroup. `mask` begins with four
// words for each workgroup: the end of its tensor, which bit of `mask` is that of weight 0 if the tensor's first bit is
// that of its first weight, 1 where there is a mask at all, and nothing.

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> step: Step;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = id.y * groups.x + id.x;
    let i = group * 256u + lane;
    if i >= params.len {
        return;
    }
    let end = mask[group * 4u];
    var g = gradient[i];
    if i >= end {
        return;
    }
    if PRUNED != DENSE && mask[group * 4u + 2u] != 0u {
        let at = mask[group * 4u + 1u] + i;
        if !bit(mask[at / 32u], at) {
            g = 0.0;
            if PRUNED == ZERO {
                weights[i] = 0.0;
                release(i);
            }
            if PRUNED != REVIVE {
                return;
            }
        }
    }
    weights[i] = moved(i, weights[i], g);
}
