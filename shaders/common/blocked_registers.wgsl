// The sums of a product with blocks of weights, on any adapter: 8 x 4 of c in each invocation's
// registers.
//
// A workgroup has the WIDTH columns of one list of blocks, LANES invocations side by side, and goes
// through its terms.
override LANES: u32 = 8u; // WIDTH / 4
override LANE_ROWS: u32 = 8u; // 64 / LANES

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
    let i = (group.y * LANE_ROWS + local.y) * 8u;
    let i0 = row_at(i);
    let i1 = row_at(i + 1u);
    let i2 = row_at(i + 2u);
    let i3 = row_at(i + 3u);
    let i4 = row_at(i + 4u);
    let i5 = row_at(i + 5u);
    let i6 = row_at(i + 6u);
    let i7 = row_at(i + 7u);
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var s4 = vec4<f32>();
    var s5 = vec4<f32>();
    var s6 = vec4<f32>();
    var s7 = vec4<f32>();
    let terms = terms_of(group.x);
    for (var t = terms.x; t < terms.y; t += 1u) {
        let x = input_at(t);
        let w = t * WIDTH + local.x;
        let next = vec4(w) + vec4(0u, 1u, 2u, 3u) * LANES;
        let row = vec4(
            weight_at(next.x),
            weight_at(next.y),
            weight_at(next.z),
            weight_at(next.w),
        );
        s0 = fma(vec4(a[i0 + x]), row, s0);
        s1 = fma(vec4(a[i1 + x]), row, s1);
        s2 = fma(vec4(a[i2 + x]), row, s2);
        s3 = fma(vec4(a[i3 + x]), row, s3);
        s4 = fma(vec4(a[i4 + x]), row, s4);
        s5 = fma(vec4(a[i5 + x]), row, s5);
        s6 = fma(vec4(a[i6 + x]), row, s6);
        s7 = fma(vec4(a[i7 + x]), row, s7);
    }
    let j = group.x * WIDTH + local.x + vec4(0u, 1u, 2u, 3u) * LANES;
    store_row(i, j, s0);
    store_row(i + 1u, j, s1);
    store_row(i + 2u, j, s2);
    store_row(i + 3u, j, s3);
    store_row(i + 4u, j, s4);
    store_row(i + 5u, j, s5);
    store_row(i + 6u, j, s6);
    store_row(i + 7u, j, s7);
}
