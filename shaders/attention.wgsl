// out[i] = sum over j of softmax_j(scale * q_i . k_j) v_j, in each head; over the positions j that i sees. Where it sees
// none, 0.
//
// Of more than TILE positions the sums so far are in out, scaled anew as the highest score rises (Milakov and
// Gimelshein 2018).

@group(0) @binding(0) var<storage, read> queries: array<f32>;
@group(0) @binding(1) var<storage, read> keys: array<f32>;
@group(0) @binding(2) var<storage, read> values: array<f32>;
@group(0) @binding(3) var<storage, read> seen: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

var<workgroup> weight: array<f32, TILE>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let p = place_of(id);
    let q = query_at(p, p.at);
    let to = result(p, p.at);
    let begin = seen_from(p.at);
    let all = seen_to(p.at);
    var highest = HIDDEN;
    var sum = 0.0;
    for (var first = begin; first < all; first += TILE) {
        let end = min(all - first, TILE);
        let before = highest;
        for (var j = lane; j < end; j += 64u) {
            let k = key_at(p, first + j);
            var dot = 0.0;
            for (var c = 0u; c < params.width; c += 1u) {
                dot += queries[q + c] * keys[k + c];
            }
            weight[j] = select(dot * params.scale, HIDDEN, is_hidden(p, first + j));
            highest = max(highest, weight[j]);
        }
        highest = row_max(lane, highest);
        var here = 0.0;
        for (var j = lane; j < end; j += 64u) {
            weight[j] = weight_of(weight[j], highest);
            here += weight[j];
        }
        // Its barriers also show every weight to all.
        here = row_sum(lane, here);
        let fade = exp(before - highest);
        sum = select(here, sum * fade + here, first > begin);
        for (var c = lane; c < params.width; c += 64u) {
            var value = 0.0;
            if first > begin {
                value = out[to + c] * fade;
            }
            for (var j = 0u; j < end; j += 1u) {
                value += weight[j] * values[value_at(p, first + j) + c];
            }
            out[to + c] = value;
        }
        // Before the next tile's weights.
        workgroupBarrier();
    }
    for (var c = lane; c < params.width; c += 64u) {
        out[to + c] = select(out[to + c] / sum, 0.0, MASKED && sum == 0.0);
    }
}
