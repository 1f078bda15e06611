// partials[g] = sum over chunk g of 8,192 weights of d^2, where d is the weight's change.
//
// Each invocation takes every 256th weight of the chunk in order, then a fixed tree adds the 256 sums.

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> history: array<f32>;
@group(0) @binding(2) var<storage, read_write> partials: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    len: u32,
}

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    var sum = 0.0;
    for (var n = 0u; n < 32u; n += 1u) {
        let i = group.x * 8192u + n * 256u + local;
        if i < params.len {
            var older = 0.0;
            if SECOND {
                older = history[params.len + i];
            }
            let d = change(weights[i], history[i], older);
            sum += d * d;
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
        partials[group.x] = sums[0];
    }
}
