// What optimizers share. Each says its slots from binding 4 on, then `params` with the number of weights as `len`, and
//   release(i): sets its slots of weight i to zero, as those of a weight that is held at zero are;
//   moved(i, w, g): weight w of gradient g after the step, its slots updated.

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read> step: Step;
@group(0) @binding(3) var<storage, read_write> weights: array<f32>;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.len {
        return;
    }
    var g = gradient[i];
    if PRUNED != DENSE && !bit(mask[i / 32u], i) {
        g = 0.0;
        if PRUNED == ZERO {
            weights[i] = 0.0;
            release(i);
        }
        if PRUNED != REVIVE {
            return;
        }
    }
    weights[i] = moved(i, weights[i], g);
}
