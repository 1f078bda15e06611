// Bits that a workgroup of 256 has kept and changed, at most 32 an invocation: sixteen of these add
// up sixteen each, so that few atomics meet on one word. Where TALLY does not say so, each adds its own.
override TALLY: bool = false;

var<workgroup> tallied: array<u32, 256>;

fn tally(local: u32, kept: u32, changed: u32) {
    if !TALLY {
        atomicAdd(&mask_state[KEPT], kept);
        atomicAdd(&mask_state[CHANGED], changed);
        return;
    }
    tallied[local] = kept | (changed << 16u);
    workgroupBarrier();
    if local < 16u {
        var sum = 0u;
        for (var n = 0u; n < 16u; n += 1u) {
            sum += tallied[local * 16u + n];
        }
        atomicAdd(&mask_state[KEPT], sum & 0xffffu);
        atomicAdd(&mask_state[CHANGED], sum >> 16u);
    }
}
