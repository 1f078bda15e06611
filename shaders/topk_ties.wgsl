// ties[g] = number of values with exactly the rank of the last one to prune, in chunk g of 8,192.

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> protect: array<u32>;
@group(0) @binding(2) var<storage, read> state: array<u32>;
@group(0) @binding(3) var<storage, read_write> ties: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    len: u32,
}

var<workgroup> sums: array<u32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let found = state[SCORE];
    var count = 0u;
    for (var n = 0u; n < 32u; n += 1u) {
        let i = group.x * 8192u + n * 256u + local;
        if i < params.len {
            var word = 0u;
            if PROTECT {
                word = protect[i / 32u];
            }
            count += u32(rank(values[i], i, word) == found);
        }
    }
    sums[local] = count;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if local < half {
            sums[local] += sums[local + half];
        }
        workgroupBarrier();
    }
    if local == 0u {
        ties[group.x] = sums[0];
    }
}
