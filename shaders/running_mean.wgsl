// mean += share * (x - mean), where share is the step's; a share of 1 starts a new mean.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
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
    // What a new mean replaces may not be finite.
    if step.share == 1.0 {
        mean[i] = x[i];
    } else {
        mean[i] += step.share * (x[i] - mean[i]);
    }
}
