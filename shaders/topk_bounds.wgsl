// The range that the rank of the last value to prune lies in, by the sample: its rank among the S
// sampled is p S, give or take sqrt(S p (1 - p)), where p is the share to prune. The range is three
// times that to either side. Where the guess is wrong topk_pick finds out.
//
// LOW is the highest sampled rank with at most `first` below it, NEXT the one after it, HIGH the
// lowest with more than `last` below it. Minima and maxima do not depend on scheduling.

@group(0) @binding(0) var<storage, read> counts: array<u32>;
@group(0) @binding(1) var<storage, read> sample: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> state: array<atomic<u32>>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    selection: u32,
    samples: u32,
    total: u32,
}

fn smaller(ranks: vec4<u32>, own: u32) -> vec4<u32> {
    return select(vec4(0u), vec4(1u), ranks < vec4(own));
}

// All of the sample: 2,048 ranks at most.
var<workgroup> staged: array<vec4<u32>, 512>;

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // The padding to whole sixteens is above all.
    let fours = (params.samples + 15u) / 16u * 4u;
    for (var at = local; at < fours; at += 256u) {
        staged[at] = sample[at];
    }
    workgroupBarrier();
    if id.x >= params.samples {
        return;
    }
    let own = sample[id.x / 4u][id.x % 4u];
    var counted = vec4(0u);
    for (var at = 0u; at < fours; at += 4u) {
        counted += smaller(staged[at], own) + smaller(staged[at + 1u], own)
            + smaller(staged[at + 2u], own) + smaller(staged[at + 3u], own);
    }
    let below = f32(dot(counted, vec4(1u)));
    let prune = counts[params.selection];
    let samples = f32(params.samples);
    let share = min(f32(prune) / f32(params.total), 1.0);
    let margin = 3.0 * sqrt(samples * share * (1.0 - share)) + 2.0;
    let first = samples * share - margin;
    let last = samples * share + margin;
    if below <= first {
        atomicMax(&state[LOW], own);
    } else if own > 0u {
        atomicMin(&state[NEXT], own);
    }
    if below > last {
        atomicMin(&state[HIGH], own);
    }
    if id.x == 0u {
        atomicStore(&state[PRUNE], prune);
    }
}
