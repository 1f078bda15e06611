// partials[first + c] = sum of g^2 over chunk c of 8,192 elements g of a gradient, those of pruned weights left out.
//
// Each invocation takes every 256th element of the chunk in order, then a fixed tree adds the 256 sums.

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    len: u32,
    first: u32,
}

override MASKED: bool = false;

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    var sum = 0.0;
    for (var n = 0u; n < 32u; n += 1u) {
        let i = group.x * 8192u + n * 256u + local;
        if i < params.len && (!MASKED || bit(mask[i / 32u], i)) {
            sum += gradient[i] * gradient[i];
        }
    }
    sums[local] = sum;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if local < half {
            sums[local] += sums[local + half];
        }
        workgroupBarrier();
    }
    if local == 0u {
        partials[params.first + group.x] = sums[0];
    }
}
