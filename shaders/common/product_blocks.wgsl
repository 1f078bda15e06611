// The sums of a product, on any adapter: an 8 x 4 block of c in each invocation's registers.
//
// A workgroup is LANES x 64 / LANES invocations, by how many columns there are to share. Rows and columns past
// the edge are clamped while loading and skipped while storing, so that the inner loop has no branch of its own.
override LANES: u32 = 16u;
override LANE_ROWS: u32 = 4u;

fn store_row(i: u32, j: vec4<u32>, sum: vec4<f32>) {
    store(i, j.x, sum.x);
    store(i, j.y, sum.y);
    store(i, j.z, sum.z);
    store(i, j.w, sum.w);
}

@compute @workgroup_size(LANES, LANE_ROWS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let group = first_group() + id;
    let terms = terms_of_sums(
        begin_at(group.z),
        group.y * LANE_ROWS * 8u,
        LANE_ROWS * 8u,
        group.x * LANES * 4u,
        LANES * 4u,
    );
    let i = (group.y * LANE_ROWS + local.y) * 8u;
    let j = group.x * LANES * 4u + local.x + vec4(0u, 1u, 2u, 3u) * LANES;
    let last = params.m - 1u;
    let i0 = row_of(min(i, last));
    let i1 = row_of(min(i + 1u, last));
    let i2 = row_of(min(i + 2u, last));
    let i3 = row_of(min(i + 3u, last));
    let i4 = row_of(min(i + 4u, last));
    let i5 = row_of(min(i + 5u, last));
    let i6 = row_of(min(i + 6u, last));
    let i7 = row_of(min(i + 7u, last));
    let clamped = min(j, vec4(params.n - 1u));
    let jj = vec4(
        column_of(clamped.x),
        column_of(clamped.y),
        column_of(clamped.z),
        column_of(clamped.w),
    );
    // Named, not an array: an indexed array of accumulators would live in memory.
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var s4 = vec4<f32>();
    var s5 = vec4<f32>();
    var s6 = vec4<f32>();
    var s7 = vec4<f32>();
    var t = term_of(terms.x);
    var k = terms.x;
    while k < terms.y {
        var end = terms.y;
        if SKIPS == 1u || SKIPS == 2u {
            let first = group.x * LANES * 4u;
            let found = next_live(k, terms.y, first, LANES * 4u);
            t = term_after(t, found - k);
            k = found;
            end = min(end, k + live_run(min(k, terms.y - 1u), first, LANES * 4u));
        }
        for (; k < end; k += 1u) {
            let row = vec4(load_b(t, jj.x), load_b(t, jj.y), load_b(t, jj.z), load_b(t, jj.w));
            s0 = fma(vec4(load_a(i0, t)), row, s0);
            s1 = fma(vec4(load_a(i1, t)), row, s1);
            s2 = fma(vec4(load_a(i2, t)), row, s2);
            s3 = fma(vec4(load_a(i3, t)), row, s3);
            s4 = fma(vec4(load_a(i4, t)), row, s4);
            s5 = fma(vec4(load_a(i5, t)), row, s5);
            s6 = fma(vec4(load_a(i6, t)), row, s6);
            s7 = fma(vec4(load_a(i7, t)), row, s7);
            t = next_term(t);
        }
    }
    store_row(i, j, s0);
    store_row(i + 1u, j, s1);
    store_row(i + 2u, j, s2);
    store_row(i + 3u, j, s3);
    store_row(i + 4u, j, s4);
    store_row(i + 5u, j, s5);
    store_row(i + 6u, j, s6);
    store_row(i + 7u, j, s7);
}
