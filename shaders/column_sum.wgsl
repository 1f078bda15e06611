// out[j] = sum over i of x[i, j], for row-major x [rows, columns].
//
// A workgroup sums 16 columns: invocation (c, r) takes rows r, r + 16, ... in order, then a fixed
// tree adds the 16 partial sums, so that the bits do not depend on scheduling.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    rows: u32,
    columns: u32,
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}

var<workgroup> partial: array<f32, 256>;

@compute @workgroup_size(16, 16)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let group = first_group() + id;
    let j = group.x * 16u + local.x;
    var sum = 0.0;
    if j < params.columns {
        var i = local.y;
        // Four loads are on their way at once; the order of additions is that of one at a time.
        for (; i + 48u < params.rows; i += 64u) {
            let at = i * params.columns + j;
            let step = 16u * params.columns;
            let first = x[at];
            let second = x[at + step];
            let third = x[at + 2u * step];
            let fourth = x[at + 3u * step];
            sum += first;
            sum += second;
            sum += third;
            sum += fourth;
        }
        for (; i < params.rows; i += 16u) {
            sum += x[i * params.columns + j];
        }
    }
    let at = local.y * 16u + local.x;
    partial[at] = sum;
    workgroupBarrier();
    for (var half = 8u; half > 0u; half /= 2u) {
        if local.y < half {
            partial[at] += partial[at + half * 16u];
        }
        workgroupBarrier();
    }
    if local.y == 0u && j < params.columns {
        out[j] = partial[at];
    }
}
