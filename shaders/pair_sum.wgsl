// x_sum = sum over i of x[i], y_sum = sum over i of y[i], in one launch.
//
// A workgroup for each: invocation r takes elements r, r + 16, ... in order, then a fixed tree adds the 16 partial sums, as
// column_sum does with one column, to the same bits.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> x_sum: array<f32>;
@group(0) @binding(3) var<storage, read_write> y_sum: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    len: u32,
}

var<workgroup> partial: array<f32, 16>;

fn load(of_y: bool, i: u32) -> f32 {
    if of_y {
        return y[i];
    }
    return x[i];
}

@compute @workgroup_size(16)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let of_y = group.x == 1u;
    let at = local.x;
    var sum = 0.0;
    for (var i = at; i < params.len; i += 16u) {
        sum += load(of_y, i);
    }
    partial[at] = sum;
    workgroupBarrier();
    for (var half = 8u; half > 0u; half /= 2u) {
        if at < half {
            partial[at] += partial[at + half];
        }
        workgroupBarrier();
    }
    if at == 0u && of_y {
        y_sum[0] = partial[0];
    }
    if at == 0u && !of_y {
        x_sum[0] = partial[0];
    }
}
