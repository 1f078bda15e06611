// ties[g] = number of values with exactly the rank of the last one to prune, in chunk g of 32,768;
// nothing where they need no numbers. Behind these are four words: the number of all, the chunk of
// which some ties stay and some go, or the number of chunks where there is none, how many of its
// stay, and how many stay from here on. The first three are topk_mask's, but that there is no such
// chunk is said here. What stays is what an earlier tensor of the selection has left of it.
//
// The launch behind the last round picks the range from what that one has counted.

@group(0) @binding(0) var<storage, read> values4: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> protect: array<u32>;
@group(0) @binding(3) var<storage, read_write> state: array<u32>;
@group(0) @binding(4) var<storage, read_write> histogram: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read> before: array<u32>; // ties of the tensor before
@group(0) @binding(6) var<storage, read_write> ties: array<u32>;
@group(0) @binding(7) var<uniform> params: Params;

struct Params {
    len: u32,
    workgroups: u32,
    chunks: u32,
    chunks_before: u32, // 0 where there is no tensor before
}

override PICKS: bool = false; // the state comes from the last round

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    if PICKS {
        pick(group.x, local, STATE, 0u, 0u);
    } else if local < STATE {
        found[local] = state[local];
    }
    if workgroupUniformLoad(&found[MODE]) != TIED {
        return;
    }
    let tie = found[LOW];
    for (var chunk = group.x; chunk < params.chunks; chunk += params.workgroups) {
        var equal = vec4(0u);
        for (var n = 0u; n < 32u; n += 1u) {
            let i = (chunk * 8192u + n * 256u + local) * 4u;
            if i + 4u <= params.len {
                var word = 0u;
                if PROTECT {
                    word = protect[i / 32u];
                }
                let r = ranks(values4[i / 4u], i, word);
                equal += select(vec4(0u), vec4(1u), r == vec4(tie));
            }
        }
        // Up to three values are left at the end.
        let i = (params.len & ~3u) + local;
        if (i < params.len) & (i / 32768u == chunk) {
            var word = 0u;
            if PROTECT {
                word = protect[i / 32u];
            }
            equal.x += u32(rank(values[i], i, word) == tie);
        }
        add_up(local, vec2(dot(equal, vec4(1u)), 0u));
        if local == 0u {
            ties[chunk] = sum_of_all().x;
        }
    }
    if (group.x == 0u) & (local == 0u) {
        var stay = found[TIES_KEPT];
        if params.chunks_before > 0u {
            stay = before[params.chunks_before + 3u];
            stay -= min(before[params.chunks_before], stay);
        }
        ties[params.chunks + 1u] = params.chunks;
        ties[params.chunks + 3u] = stay;
    }
}
