// Ranks the listed values one by one: value e stays where at least LEFT others go before it, which
// are those of lower rank, and of its own rank those of higher index. Also finds the rank of the
// last value to prune, whatever the mode.

@group(0) @binding(0) var<storage, read_write> list: array<u32>;
@group(0) @binding(1) var<storage, read_write> state: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    most: u32,
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let e = id.x;
    let mode = state[MODE];
    let left = state[LEFT];
    if mode == LISTED {
        let count = min(state[COUNT], params.most);
        if e < count {
            let own = list[RANKS + e];
            let place = list[PLACES + e];
            var before = 0u;
            for (var k = 0u; k < count; k += 1u) {
                let other = list[RANKS + k];
                let later = other == own && list[PLACES + k] > place;
                before += u32(other < own || later);
            }
            list[STAYS + e] = u32(before >= left);
            if before + 1u == left {
                state[SCORE] = own;
            }
        }
    } else if e == 0u {
        let pruned = select(list[HIGHEST], state[LOW], mode == TIED);
        state[SCORE] = select(pruned, 0u, left == 0u);
    }
}
