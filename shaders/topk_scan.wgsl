// ties[g] becomes the number of ties before chunk g, counted in this tensor. The ties that an earlier
// tensor of the selection had are taken from those that stay.
//
// One workgroup: each invocation sums a run of chunks, one walks the 256 sums, each writes its run.

@group(0) @binding(0) var<storage, read_write> ties: array<u32>;
@group(0) @binding(1) var<storage, read_write> state: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    chunks: u32,
    run: u32,
}

var<workgroup> sums: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
    let first = local * params.run;
    let end = min(first + params.run, params.chunks);
    var sum = 0u;
    for (var g = first; g < end; g += 1u) {
        sum += ties[g];
    }
    sums[local] = sum;
    workgroupBarrier();
    if local == 0u {
        var total = 0u;
        for (var part = 0u; part < 256u; part += 1u) {
            let here = sums[part];
            sums[part] = total;
            total += here;
        }
        state[TIES_KEPT] -= min(state[TIES], state[TIES_KEPT]);
        state[TIES] = total;
    }
    workgroupBarrier();
    var before = sums[local];
    for (var g = first; g < end; g += 1u) {
        let here = ties[g];
        ties[g] = before;
        before += here;
    }
}
