// threshold = (bins with cdf < sparsity) / nbins * peak * share + threshold * decay; clears bins and peak.
//
// One workgroup: each invocation has a run of bins, one walks the sums of the runs.

@group(0) @binding(0) var<storage, read> sparsities: array<f32>;
@group(0) @binding(1) var<storage, read_write> bins: array<u32>;
@group(0) @binding(2) var<storage, read_write> peak: array<u32>;
@group(0) @binding(3) var<storage, read_write> mask_state: array<u32>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    selection: u32,
    nbins: u32,
    share: f32,
    decay: f32,
}

var<workgroup> sums: array<u32, 256>;
var<workgroup> total: u32;
var<workgroup> below: atomic<u32>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
    let run = (params.nbins + 255u) / 256u;
    let first = min(local * run, params.nbins);
    let end = min(first + run, params.nbins);
    var sum = 0u;
    for (var b = first; b < end; b += 1u) {
        sum += bins[b];
    }
    sums[local] = sum;
    workgroupBarrier();
    if local == 0u {
        atomicStore(&below, 0u);
        var before = 0u;
        for (var part = 0u; part < 256u; part += 1u) {
            let here = sums[part];
            sums[part] = before;
            before += here;
        }
        total = before;
    }
    workgroupBarrier();
    var cumulative = sums[local];
    var own = 0u;
    for (var b = first; b < end; b += 1u) {
        cumulative += bins[b];
        bins[b] = 0u;
        let share = quotient(bitcast<u32>(f32(cumulative)), bitcast<u32>(f32(total)));
        own += u32(total > 0u && share < sparsities[params.selection]);
    }
    atomicAdd(&below, own);
    workgroupBarrier();
    if local == 0u {
        let highest = bitcast<f32>(peak[0]);
        let below_it = bitcast<u32>(f32(atomicLoad(&below)));
        let found = quotient(below_it, bitcast<u32>(f32(params.nbins))) * highest;
        let old = bitcast<f32>(mask_state[THRESHOLD]);
        mask_state[THRESHOLD] = bitcast<u32>(found * params.share + old * params.decay);
        peak[0] = 0u;
    }
}
