// histogram[d] += number of values whose rank has the digits found so far and d as the next one.
//
// Digits of a 32-bit rank, highest first: 11, 11 and 10 bits. Integer atomics commute, so the
// counts do not depend on scheduling. `histogram` is zero before the first pass; topk_pick clears it.

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> protect: array<u32>;
@group(0) @binding(2) var<storage, read> state: array<u32>;
@group(0) @binding(3) var<storage, read_write> histogram: array<atomic<u32>>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    len: u32,
    per_invocation: u32,
}

override DIGIT: u32 = 0u;

var<workgroup> bins: array<atomic<u32>, 2048>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    for (var d = local; d < 2048u; d += 256u) {
        atomicStore(&bins[d], 0u);
    }
    workgroupBarrier();
    let found = state[SCORE];
    let first = group.x * 256u * params.per_invocation + local;
    for (var n = 0u; n < params.per_invocation; n += 1u) {
        let i = first + n * 256u;
        if i >= params.len {
            break;
        }
        var word = 0u;
        if PROTECT {
            word = protect[i / 32u];
        }
        let r = rank(values[i], i, word);
        switch DIGIT {
            case 0u: {
                atomicAdd(&bins[r >> 21u], 1u);
            }
            case 1u: {
                if r >> 21u == found >> 21u {
                    atomicAdd(&bins[(r >> 10u) & 2047u], 1u);
                }
            }
            default: {
                if r >> 10u == found >> 10u {
                    atomicAdd(&bins[r & 1023u], 1u);
                }
            }
        }
    }
    workgroupBarrier();
    for (var d = local; d < 2048u; d += 256u) {
        let count = atomicLoad(&bins[d]);
        if count > 0u {
            atomicAdd(&histogram[d], count);
        }
    }
}
