// out[i] = x[i], four words at a time: the adapter's bandwidth.

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    // Vectors of four words.
    len: u32,
    // Vectors from one that an invocation copies to its next.
    stride: u32,
}

// Vectors that each invocation copies.
override VECTORS: u32 = 1;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let first = flat_index(id, groups);
    for (var k = 0u; k < VECTORS; k += 1u) {
        let i = first + k * params.stride;
        if first < params.stride && i < params.len {
            out[i] = x[i];
        }
    }
}
