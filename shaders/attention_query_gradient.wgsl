// With p_ij the weights of `attention`, g_i the gradient of its result and d_ij = g_i . v_j:
// out's query i = scale * sum over j of p_ij (d_ij - D_i) k_j, where D_i = sum over j of p_ij d_ij.
//
// rows[i] holds for the keys' gradient log of the sum of exponentials, and D_i.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> rows: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> weight: array<f32, 1024>;
var<workgroup> slope: array<f32, 1024>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let p = place_of(group, groups);
    if !p.inside {
        return;
    }
    let q = part(p, p.at, QUERY);
    let g = result(p, p.at);
    let end = sees(p.at);
    var highest = -3.4e38;
    for (var j = lane; j < end; j += 64u) {
        let k = part(p, j, KEY);
        let v = part(p, j, VALUE);
        var dot = 0.0;
        var d = 0.0;
        for (var c = 0u; c < params.width; c += 1u) {
            dot += x[q + c] * x[k + c];
            d += gradient[g + c] * x[v + c];
        }
        weight[j] = dot * params.scale;
        slope[j] = d;
        highest = max(highest, weight[j]);
    }
    highest = row_max(lane, highest);
    var sum = 0.0;
    var products = 0.0;
    for (var j = lane; j < end; j += 64u) {
        weight[j] = exp(weight[j] - highest);
        sum += weight[j];
        products += weight[j] * slope[j];
    }
    sum = row_sum(lane, sum);
    products = row_sum(lane, products) / sum;
    for (var j = lane; j < end; j += 64u) {
        slope[j] = weight[j] / sum * (slope[j] - products);
    }
    workgroupBarrier();
    for (var c = lane; c < params.width; c += 64u) {
        var value = 0.0;
        for (var j = 0u; j < end; j += 1u) {
            value += slope[j] * x[part(p, j, KEY) + c];
        }
        out[q + c] = value * params.scale;
    }
    if lane == 0u {
        let row = ((p.batch * params.heads + p.head) * params.length + p.at) * 2u;
        rows[row] = highest + log(sum);
        rows[row + 1u] = products;
    }
}
