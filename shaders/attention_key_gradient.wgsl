// out's value j = sum over i of p_ij g_i, and its key j = scale * sum over i of p_ij (g_i . v_j - D_i) q_i, over the
// queries i that see j, of the head `member` of those that share the key; `rows` is what `attention_query_gradient`
// left. Added to what is there where ACCUMULATE.

@group(0) @binding(0) var<storage, read> queries: array<f32>;
@group(0) @binding(1) var<storage, read> keys: array<f32>;
@group(0) @binding(2) var<storage, read> values: array<f32>;
@group(0) @binding(3) var<storage, read> seen: array<f32>;
@group(0) @binding(4) var<storage, read> gradient: array<f32>;
@group(0) @binding(5) var<storage, read> rows: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

override ACCUMULATE: bool = false;

var<workgroup> weight: array<f32, TILE>;
var<workgroup> slope: array<f32, TILE>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let p = shared_place_of(id);
    let k = key_at(p, p.at);
    let v = value_at(p, p.at);
    let to_key = params.to_keys + shared_at(p, p.at);
    let to_value = params.to_values + shared_at(p, p.at);
    let hidden = is_hidden(p, p.at);
    let begin = seen_by_from(p.at);
    let all = seen_by_to(p.at);
    for (var first = begin; first < all; first += TILE) {
        let end = min(all - first, TILE);
        for (var i = lane; i < end; i += 64u) {
            let q = query_at(p, first + i);
            let g = result(p, first + i);
            var dot = 0.0;
            var d = 0.0;
            for (var c = 0u; c < params.width; c += 1u) {
                dot += queries[q + c] * keys[k + c];
                d += gradient[g + c] * values[v + c];
            }
            let row = row_at(p, first + i);
            let share = exp(dot * params.scale - rows[row]);
            weight[i] = select(share, 0.0, hidden);
            slope[i] = select(share * (d - rows[row + 1u]) * params.scale, 0.0, hidden);
        }
        workgroupBarrier();
        for (var c = lane; c < params.width; c += 64u) {
            var value = 0.0;
            var key = 0.0;
            if ACCUMULATE || first > begin {
                value = out[to_value + c];
                key = out[to_key + c];
            }
            for (var i = 0u; i < end; i += 1u) {
                value += weight[i] * gradient[result(p, first + i) + c];
                key += slope[i] * queries[query_at(p, first + i) + c];
            }
            out[to_value + c] = value;
            out[to_key + c] = key;
        }
        workgroupBarrier();
    }
}
