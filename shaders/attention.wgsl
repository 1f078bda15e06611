// out[i] = sum over j of softmax_j(scale * q_i . k_j) v_j, in each head; j up to i where CAUSAL.
//
// Of more than TILE positions the sums so far are in out, scaled anew as the highest score rises (Milakov and
// Gimelshein 2018).

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

var<workgroup> weight: array<f32, TILE>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let p = place_of(id);
    let q = part(p, p.at, QUERY);
    let to = result(p, p.at);
    let all = sees(p.at);
    var highest = -3.4e38;
    var sum = 0.0;
    for (var first = 0u; first < all; first += TILE) {
        let end = min(all - first, TILE);
        let before = highest;
        for (var j = lane; j < end; j += 64u) {
            let k = part(p, first + j, KEY);
            var dot = 0.0;
            for (var c = 0u; c < params.width; c += 1u) {
                dot += x[q + c] * x[k + c];
            }
            weight[j] = dot * params.scale;
            highest = max(highest, weight[j]);
        }
        highest = row_max(lane, highest);
        var here = 0.0;
        for (var j = lane; j < end; j += 64u) {
            weight[j] = exp(weight[j] - highest);
            here += weight[j];
        }
        // Its barriers also show every weight to all.
        here = row_sum(lane, here);
        let fade = exp(before - highest);
        sum = select(here, sum * fade + here, first > 0u);
        for (var c = lane; c < params.width; c += 64u) {
            var value = 0.0;
            if first > 0u {
                value = out[to + c] * fade;
            }
            for (var j = 0u; j < end; j += 1u) {
                value += weight[j] * x[part(p, first + j, VALUE) + c];
            }
            out[to + c] = value;
        }
        // Before the next tile's weights.
        workgroupBarrier();
    }
    for (var c = lane; c < params.width; c += 64u) {
        out[to + c] /= sum;
    }
}
