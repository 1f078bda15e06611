// bins[floor(nbins * (|x| / peak))] += 1, the last bin for what would lie beyond; bins are zero before.
//
// Infinite values count to the last bin, NaN to none.

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> peak: array<u32>;
@group(0) @binding(2) var<storage, read_write> bins: array<atomic<u32>>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    len: u32,
    per_invocation: u32,
    nbins: u32,
}

// Few bins are counted by workgroups first.
override SHARED: bool = true;

var<workgroup> counts: array<atomic<u32>, 2048>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    if SHARED {
        for (var b = local; b < params.nbins; b += 256u) {
            atomicStore(&counts[b], 0u);
        }
    }
    workgroupBarrier();
    let highest = peak[0];
    let first = group.x * 256u * params.per_invocation + local;
    for (var n = 0u; n < params.per_invocation; n += 1u) {
        let i = first + n * 256u;
        if i >= params.len {
            break;
        }
        let s = score(values[i]);
        if s > INFINITE {
            continue;
        }
        var b = params.nbins - 1u;
        if s < INFINITE {
            // All zero: every value is in the first bin.
            var share = 0.0;
            if highest > 0u {
                share = quotient(s, highest);
            }
            b = min(u32(floor(f32(params.nbins) * share)), b);
        }
        if SHARED {
            atomicAdd(&counts[b], 1u);
        } else {
            atomicAdd(&bins[b], 1u);
        }
    }
    workgroupBarrier();
    if SHARED {
        for (var b = local; b < params.nbins; b += 256u) {
            let count = atomicLoad(&counts[b]);
            if count > 0u {
                atomicAdd(&bins[b], count);
            }
        }
    }
}
