// Finds up to two places in an order by counting: the value with so many up to it. All invocations
// count the values that they have in 256 bins of equal width, the range becomes the bin that the
// value is in, and after four such turns at most it is one value.
var<workgroup> bins: array<atomic<u32>, 512>; // 256 for either
var<workgroup> least: array<u32, 2>; // the range
var<workgroup> most: array<u32, 2>;
var<workgroup> upto: array<u32, 2>; // values of the range up to the one that is sought, itself too
var<workgroup> inside: array<u32, 2>; // values of the range

// Begins with one range for both; nothing is found of one that is sought at place 0.
fn seek(local: u32, low: u32, high: u32, places: vec2<u32>, count: u32) {
    atomicStore(&bins[local], 0u);
    atomicStore(&bins[256u + local], 0u);
    if local < 2u {
        least[local] = low;
        most[local] = high;
        upto[local] = select(places.x, places.y, local == 1u);
        inside[local] = count;
    }
    workgroupBarrier();
}

// Log2 of the width of bins in a range that reaches so far. A range of one value has no bins.
fn width_shift(reach: u32) -> u32 {
    return 24u - min(countLeadingZeros(reach), 24u);
}

// Turns until the range is one value.
fn turns(reach: u32) -> u32 {
    return (39u - countLeadingZeros(reach)) / 8u;
}

// Counts four values in the bins that they are in.
fn count_bins(bin: vec4<u32>, counts: vec4<bool>) {
    if counts.x {
        atomicAdd(&bins[bin.x], 1u);
    }
    if counts.y {
        atomicAdd(&bins[bin.y], 1u);
    }
    if counts.z {
        atomicAdd(&bins[bin.z], 1u);
    }
    if counts.w {
        atomicAdd(&bins[bin.w], 1u);
    }
}

// Ends a turn, behind what everybody counts.
fn narrow(local: u32) {
    workgroupBarrier();
    let bin = place(local);
    let low = vec2(least[0], least[1]);
    let high = vec2(most[0], most[1]);
    let up = vec2(upto[0], upto[1]);
    let own = vec2(atomicLoad(&bins[bin]), atomicLoad(&bins[256u + bin]));
    atomicStore(&bins[bin], 0u);
    atomicStore(&bins[256u + bin], 0u);
    add_up(local, own);
    let before = sum_before(local);
    if (before.x < up.x) & (up.x <= before.x + own.x) {
        take(0u, bin, low.x, high.x, up.x - before.x, own.x);
    }
    if (before.y < up.y) & (up.y <= before.y + own.y) {
        take(1u, bin, low.y, high.y, up.y - before.y, own.y);
    }
    workgroupBarrier();
}

fn take(which: u32, bin: u32, low: u32, high: u32, up: u32, own: u32) {
    let shift = width_shift(high - low);
    let first = low + (bin << shift);
    least[which] = first;
    most[which] = first + min((1u << shift) - 1u, high - first);
    upto[which] = up;
    inside[which] = own;
}
