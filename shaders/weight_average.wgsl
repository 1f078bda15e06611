// average = decay * average + (1 - decay) * w, where decay is the step's; a decay of 0 starts a new average.

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read_write> average: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    len: u32,
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
    let w = weights[i];
    // What a new average replaces may not be finite.
    if step.average_decay == 0.0 {
        average[i] = w;
    } else {
        average[i] += (1.0 - step.average_decay) * (w - average[i]);
    }
}
