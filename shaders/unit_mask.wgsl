// In each unit the n values that score highest stay; of equal ones the first.
//
// A workgroup takes 8 units, 32 invocations for each. Four rounds of counting and picking find the
// score of the last value to prune, digit by digit; then each invocation masks a run of inputs, the
// ties before it counted.

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> counts: array<u32>;
@group(0) @binding(2) var<storage, read_write> mask_state: array<atomic<u32>>;
@group(0) @binding(3) var<storage, read_write> mask: array<atomic<u32>>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    inputs: u32,
    units: u32,
    selection: u32,
}

var<workgroup> bins: array<atomic<u32>, 2048>; // 256 for each unit
var<workgroup> found: array<u32, 8>; // score of the last value to prune
var<workgroup> prune: array<u32, 8>; // values still to prune among those with that score
var<workgroup> ties_kept: array<u32, 8>;
var<workgroup> ties: array<u32, 256>; // of each invocation's run

@compute @workgroup_size(8, 32)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let own = local.x;
    let lane = local.y;
    let unit = group.x * 8u + own;
    let inputs = select(0u, params.inputs, unit < params.units);
    if lane == 0u {
        found[own] = 0u;
        prune[own] = inputs - min(counts[params.selection], inputs);
    }
    // Digits of 8, 8, 8 and 7 bits.
    for (var round = 0u; round < 4u; round += 1u) {
        let shift = select(23u - 8u * round, 0u, round == 3u);
        let above = select(shift + 8u, 7u, round == 3u);
        for (var b = lane; b < 256u; b += 32u) {
            atomicStore(&bins[own * 256u + b], 0u);
        }
        workgroupBarrier();
        let prefix = found[own] >> above;
        for (var r = lane; r < inputs; r += 32u) {
            let x = score(values[weight_at(r, unit)]);
            if x >> above == prefix {
                let digit = (x >> shift) & ((1u << (above - shift)) - 1u);
                atomicAdd(&bins[own * 256u + digit], 1u);
            }
        }
        workgroupBarrier();
        if lane == 0u {
            var digit = 0u;
            var left = prune[own];
            var here = atomicLoad(&bins[own * 256u]);
            while digit < 255u && here < left {
                left -= here;
                digit += 1u;
                here = atomicLoad(&bins[own * 256u + digit]);
            }
            found[own] |= digit << shift;
            prune[own] = left;
            ties_kept[own] = here - min(left, here);
        }
        workgroupBarrier();
    }

    let last = found[own];
    let run = (inputs + 31u) / 32u;
    let first = min(lane * run, inputs);
    let end = min(first + run, inputs);
    var tied = 0u;
    for (var r = first; r < end; r += 1u) {
        tied += u32(score(values[weight_at(r, unit)]) == last);
    }
    ties[own * 32u + lane] = tied;
    workgroupBarrier();
    var before = 0u;
    for (var l = 0u; l < lane; l += 1u) {
        before += ties[own * 32u + l];
    }
    var kept = 0u;
    var changed = 0u;
    var not_a_number = 0u;
    var highest = 0u;
    for (var r = first; r < end; r += 1u) {
        let i = weight_at(r, unit);
        let x = score(values[i]);
        let bit = 1u << (i & 31u);
        not_a_number += u32(x > INFINITE);
        if x > last || (x == last && before < ties_kept[own]) {
            kept += 1u;
            changed += u32((atomicOr(&mask[i / 32u], bit) & bit) == 0u);
        } else {
            highest = max(highest, x);
            changed += u32((atomicAnd(&mask[i / 32u], ~bit) & bit) != 0u);
        }
        before += u32(x == last);
    }
    atomicAdd(&mask_state[CHANGED], changed);
    atomicAdd(&mask_state[KEPT], kept);
    atomicMax(&mask_state[THRESHOLD], highest);
    if not_a_number > 0u {
        atomicAdd(&mask_state[NAN], not_a_number);
    }
}
