// out[i] = x[i] / (1 - rate) with the chance 1 - rate, else 0: by the step's noise, the layer's stream and i, so
// that a gradient goes through the same elements, and a resumed run draws the same.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> step: Step;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    len: u32,
    stream: u32,
    dropped: u32, // of 2^24
    scale: f32,
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
    let seed = mix_bits(step.noise + params.stream * GOLDEN);
    let kept = (random_bits(seed, i) >> 8u) >= params.dropped;
    out[i] = select(0.0, x[i] * params.scale, kept);
}
