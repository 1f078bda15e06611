// ties[g] becomes the number of ties before chunk g, counted in this tensor, and the word behind the
// last chunk's that of all. The two after it: the chunk of which some ties stay and some go, or the
// number of chunks where there is none, and how many of its stay. The ties that an earlier tensor of
// the selection had are taken from those that stay. Nothing where ties need no numbers.
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
var<workgroup> kept: u32;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) local: u32) {
    let tied = state[MODE] == TIED;
    let first = local * params.run;
    let end = select(first, min(first + params.run, params.chunks), tied);
    var sum = 0u;
    for (var g = first; g < end; g += 1u) {
        sum += ties[g];
    }
    sums[local] = sum;
    workgroupBarrier();
    if local == 0u && tied {
        var total = 0u;
        for (var part = 0u; part < 256u; part += 1u) {
            let here = sums[part];
            sums[part] = total;
            total += here;
        }
        state[TIES_KEPT] -= min(state[TIES], state[TIES_KEPT]);
        state[TIES] = total;
        ties[params.chunks] = total;
        ties[params.chunks + 1u] = params.chunks;
        kept = state[TIES_KEPT];
    }
    storageBarrier();
    workgroupBarrier();
    var before = sums[local];
    for (var g = first; g < end; g += 1u) {
        let here = ties[g];
        ties[g] = before;
        if before < kept && before + here > kept {
            ties[params.chunks + 1u] = g;
            ties[params.chunks + 2u] = kept - before;
        }
        before += here;
    }
}
