// out[i] = sum over j of softmax_j(scale * q_i . k_j) v_j, in each head; j up to i where CAUSAL.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> weight: array<f32, 1024>;

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
    let end = sees(p.at);
    var highest = -3.4e38;
    for (var j = lane; j < end; j += 64u) {
        let k = part(p, j, KEY);
        var dot = 0.0;
        for (var c = 0u; c < params.width; c += 1u) {
            dot += x[q + c] * x[k + c];
        }
        weight[j] = dot * params.scale;
        highest = max(highest, weight[j]);
    }
    highest = row_max(lane, highest);
    var sum = 0.0;
    for (var j = lane; j < end; j += 64u) {
        weight[j] = exp(weight[j] - highest);
        sum += weight[j];
    }
    // Its barriers also show every weight to all.
    sum = row_sum(lane, sum);
    let to = result(p, p.at);
    for (var c = lane; c < params.width; c += 64u) {
        var value = 0.0;
        for (var j = 0u; j < end; j += 1u) {
            value += weight[j] * x[part(p, j, VALUE) + c];
        }
        out[to + c] = value / sum;
    }
}
