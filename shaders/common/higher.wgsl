// How many logits of a row are higher than the label's, for a row an invocation, or, of many classes, a workgroup of 64.
override WIDE: bool = false;

// The row of this invocation.
fn row_here(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> u32 {
    let row = row_of(group, groups);
    return select(row * 64u + lane, row, WIDE);
}

// Of equal logits the lowest index is higher. All invocations of a workgroup call it; what is past the batch counts
// nothing.
fn higher_than(lane: u32, first: u32, at: u32, inside: bool) -> u32 {
    var higher = 0u;
    if inside {
        let own = logits[first + at];
        for (var j = select(0u, lane, WIDE); j < params.classes; j += select(1u, 64u, WIDE)) {
            let z = logits[first + j];
            if z > own || (z == own && j < at) {
                higher += 1u;
            }
        }
    }
    if WIDE {
        // Whole numbers, and fewer than f32 holds exactly.
        higher = u32(row_sum(lane, f32(higher)));
    }
    return higher;
}
