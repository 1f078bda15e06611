// partials[g] = (sum of w^2 where the mask bit is set, sum of w^2), over chunk g of 8,192 values w.
//
// Each invocation takes every 256th value of the chunk in order, then a fixed tree adds the 256 pairs.

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> mask: array<u32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    len: u32,
}

var<workgroup> sums: array<vec2<f32>, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    var kept = 0.0;
    var all = 0.0;
    for (var n = 0u; n < 32u; n += 1u) {
        let i = group.x * 8192u + n * 256u + local;
        if i < params.len {
            let square = values[i] * values[i];
            all += square;
            if bit(mask[i / 32u], i) {
                kept += square;
            }
        }
    }
    sums[local] = vec2(kept, all);
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if local < half {
            sums[local] += sums[local + half];
        }
        workgroupBarrier();
    }
    if local == 0u {
        partials[2u * group.x] = sums[0].x;
        partials[2u * group.x + 1u] = sums[0].y;
    }
}
