// histogram[b] += number of values whose rank is in bin b of the range; nothing where the range is
// narrow enough.
//
// One workgroup a chunk of 32,768 values. What is below the range is counted in registers, and so is
// what is LOW, which many equal values may be; the others in the range are few, or spread over many
// bins. Integer atomics commute, so the counts do not depend on scheduling. `histogram` is zero
// before the first pass; topk_pick clears it.

@group(0) @binding(0) var<storage, read> values4: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> protect: array<u32>;
@group(0) @binding(3) var<storage, read> state: array<u32>;
@group(0) @binding(4) var<storage, read_write> histogram: array<atomic<u32>>;
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
    len: u32,
}

var<workgroup> counted: array<u32, 256>;

fn count(r: u32, next: u32, shift: u32) {
    let bin = select(BETWEEN, FIRST + ((r - next) >> shift), r >= next);
    atomicAdd(&histogram[bin], 1u);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    if state[MODE] != OPEN {
        return;
    }
    let low = state[LOW];
    let next = state[NEXT];
    let reach = state[HIGH] - low;
    let shift = bin_shift(state[HIGH] - next);
    var below = vec4(0u);
    var at = vec4(0u);
    for (var n = 0u; n < 32u; n += 1u) {
        let i = (group.x * 8192u + n * 256u + local) * 4u;
        if i + 4u <= params.len {
            var word = 0u;
            if PROTECT {
                word = protect[i / 32u];
            }
            let r = ranks(values4[i / 4u], i, word);
            let from_low = r - vec4(low);
            below += select(vec4(0u), vec4(1u), r < vec4(low));
            at += select(vec4(0u), vec4(1u), from_low == vec4(0u));
            let inside = from_low - vec4(1u) < vec4(reach);
            if inside.x {
                count(r.x, next, shift);
            }
            if inside.y {
                count(r.y, next, shift);
            }
            if inside.z {
                count(r.z, next, shift);
            }
            if inside.w {
                count(r.w, next, shift);
            }
        }
    }
    // Up to three values are left at the end.
    let i = (params.len & ~3u) + local;
    if i < params.len && i / 32768u == group.x {
        var word = 0u;
        if PROTECT {
            word = protect[i / 32u];
        }
        let r = rank(values[i], i, word);
        below.x += u32(r < low);
        at.x += u32(r == low);
        if r - low - 1u < reach {
            count(r, next, shift);
        }
    }
    // Both are 129 at most.
    counted[local] = dot(below, vec4(1u)) | (dot(at, vec4(1u)) << 16u);
    workgroupBarrier();
    if local < 16u {
        var sum = 0u;
        for (var n = 0u; n < 16u; n += 1u) {
            sum += counted[local * 16u + n];
        }
        atomicAdd(&histogram[BELOW], sum & 0xffffu);
        atomicAdd(&histogram[AT], sum >> 16u);
    }
}
