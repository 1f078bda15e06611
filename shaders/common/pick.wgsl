// Narrows the range of a round to the bin that the last value to prune is in, and says how the
// selection goes on. Where that value is outside of the range, the range becomes all that is on its
// side. Every workgroup of the launch behind a round does this by itself, from the same counts; the
// first one writes the state down.
//
// `before_at` is where the state of the round is, `counts` its histogram, and `behind` the state behind
// it. Where the range is narrow enough already nothing has been counted, and the state stays what it
// is.
fn pick(group: u32, local: u32, before_at: u32, counts: u32, behind: u32) {
    let is_open = state[before_at + MODE] == OPEN;
    let bin = place(local) * 8u;
    let at = counts + FIRST + bin;
    var base = vec3(0u);
    var low_bins = vec4(0u);
    var high_bins = vec4(0u);
    if is_open {
        // All on their way at once.
        base = vec3(
            atomicLoad(&histogram[counts + BELOW]),
            atomicLoad(&histogram[counts + AT]),
            atomicLoad(&histogram[counts + BETWEEN]),
        );
        low_bins = vec4(
            atomicLoad(&histogram[at]),
            atomicLoad(&histogram[at + 1u]),
            atomicLoad(&histogram[at + 2u]),
            atomicLoad(&histogram[at + 3u]),
        );
        high_bins = vec4(
            atomicLoad(&histogram[at + 4u]),
            atomicLoad(&histogram[at + 5u]),
            atomicLoad(&histogram[at + 6u]),
            atomicLoad(&histogram[at + 7u]),
        );
    }
    // Up to the end of each bin.
    let low_ends = running(low_bins);
    let high_ends = vec4(low_ends.w) + running(high_bins);
    let own = high_ends.w;
    add_up(local, vec2(own, 0u));
    if is_open {
        let low = state[before_at + LOW];
        let next = state[before_at + NEXT];
        let high = state[before_at + HIGH];
        let prune = state[before_at + PRUNE];
        let lower = base.x + base.y + base.z;
        let before = lower + sum_before(local).x;
        if (before < prune) & (prune <= before + own) {
            // It is in one of this invocation's eight, behind those that end before it.
            let left = prune - before;
            let low_past = low_ends < vec4(left);
            let high_past = high_ends < vec4(left);
            let none = vec4(0u);
            let most = vec4(0xffffffffu);
            let ones = select(none, vec4(1u), low_past) + select(none, vec4(1u), high_past);
            let past = max(select(none, low_ends, low_past), select(none, high_ends, high_past));
            let ends = min(select(low_ends, most, low_past), select(high_ends, most, high_past));
            let begin = max(max(past.x, past.y), max(past.z, past.w));
            let end = min(min(ends.x, ends.y), min(ends.z, ends.w));
            let shift = bin_shift(high - next);
            let first = next + ((bin + dot(ones, vec4(1u))) << shift);
            let last = first + min((1u << shift) - 1u, high - first);
            within(max(first, low + 1u), last, prune, end - begin, before + begin);
        }
        if (local == 255u) & (before + own < prune) {
            if high == 0xffffffffu {
                all_alike(prune, 1u);
            } else {
                open(high + 1u, 0xffffffffu, prune);
            }
        }
        if (local == 0u) & (prune <= lower) {
            if prune == 0u {
                all_alike(0u, 0u);
            } else if prune <= base.x {
                open(0u, low - 1u, prune);
            } else if prune <= base.x + base.y {
                within(low, low, prune, base.y, base.x);
            } else {
                within(low + 1u, next - 1u, prune, base.z, base.x + base.y);
            }
        }
    } else if local < STATE {
        found[local] = state[before_at + local];
    }
    workgroupBarrier();
    if (group == 0u) & (local < STATE) {
        state[behind + local] = found[local];
    }
}

fn running(x: vec4<u32>) -> vec4<u32> {
    let two = x.x + x.y;
    return vec4(x.x, two, two + x.z, two + x.z + x.w);
}
