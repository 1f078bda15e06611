// The state that a launch comes to, for all of a workgroup, in workgroup memory.
var<workgroup> found: array<u32, 8>;

// The range is to be narrowed, from its lowest rank on.
fn open(low: u32, high: u32, prune: u32) {
    found[LOW] = low;
    found[NEXT] = low;
    found[HIGH] = high;
    found[PRUNE] = prune;
    found[LEFT] = 0u;
    found[COUNT] = 0u;
    found[MODE] = OPEN;
    found[TIES_KEPT] = 0u;
}

// All values are pruned, or none.
fn all_alike(prune: u32, left: u32) {
    open(0u, 0xffffffffu, prune);
    found[LEFT] = left;
    found[MODE] = WHOLE;
}

// The last value to prune is among the `count` in the range, behind `before` others.
fn within(low: u32, high: u32, prune: u32, count: u32, before: u32) {
    let left = prune - before;
    open(low, high, prune);
    found[LEFT] = left;
    found[COUNT] = count;
    if left == count {
        found[MODE] = WHOLE;
    } else if count <= LISTED_MOST {
        found[MODE] = LISTED;
    } else if low == high {
        found[MODE] = TIED;
        found[TIES_KEPT] = count - left;
    }
}
