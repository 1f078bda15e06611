// Numbers of f32 that the subgroups' matrices and invocations exchange, one by one: Metal loads and stores matrices of
// this size as nothing else.
const SUM_ELEMENT: u32 = 1u;

var<workgroup> sums: array<f32, SUMS>;

fn four_sums(at: u32) -> vec4<f32> {
    return vec4(sums[at], sums[at + 1u], sums[at + 2u], sums[at + 3u]);
}

fn put_four_sums(at: u32, four: vec4<f32>) {
    sums[at] = four.x;
    sums[at + 1u] = four.y;
    sums[at + 2u] = four.z;
    sums[at + 3u] = four.w;
}
