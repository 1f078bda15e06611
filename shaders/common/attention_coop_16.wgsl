// Numbers of f32 that the subgroups' matrices and invocations exchange, in fours.
const SUM_ELEMENT: u32 = 4u;

var<workgroup> sums: array<vec4<f32>, SUMS>;

fn four_sums(at: u32) -> vec4<f32> {
    return sums[at / SUM_ELEMENT];
}

fn put_four_sums(at: u32, four: vec4<f32>) {
    sums[at / SUM_ELEMENT] = four;
}
