// With p_ij the weights of `attention`, g_i the gradient of its result and d_ij = g_i . v_j:
// out's query i = scale * sum over j of p_ij (d_ij - D_i) k_j, where D_i = sum over j of p_ij d_ij.
//
// rows[i] holds for the keys' gradient log of the sum of exponentials, and D_i. Of more than TILE positions the scores
// are computed twice: once for these two, once for the sums.

@group(0) @binding(0) var<storage, read> queries: array<f32>;
@group(0) @binding(1) var<storage, read> keys: array<f32>;
@group(0) @binding(2) var<storage, read> values: array<f32>;
@group(0) @binding(3) var<storage, read> seen: array<f32>;
@group(0) @binding(4) var<storage, read> gradient: array<f32>;
@group(0) @binding(5) var<storage, read_write> rows: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

var<workgroup> weight: array<f32, TILE>;
var<workgroup> slope: array<f32, TILE>;

// Scores and d of the positions from `first` on, this lane's; the highest of them and `highest`.
fn scores(p: Place, lane: u32, first: u32, end: u32, highest: f32) -> f32 {
    let q = query_at(p, p.at);
    let g = result(p, p.at);
    var highest_yet = highest;
    for (var j = lane; j < end; j += 64u) {
        let k = key_at(p, first + j);
        let v = value_at(p, first + j);
        var dot = 0.0;
        var d = 0.0;
        for (var c = 0u; c < params.width; c += 1u) {
            dot += queries[q + c] * keys[k + c];
            d += gradient[g + c] * values[v + c];
        }
        weight[j] = select(dot * params.scale, HIDDEN, is_hidden(p, first + j));
        slope[j] = d;
        highest_yet = max(highest_yet, weight[j]);
    }
    return highest_yet;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let p = place_of(id);
    let q = query_at(p, p.at);
    let begin = seen_from(p.at);
    let all = seen_to(p.at);
    var highest = HIDDEN;
    var sum = 0.0;
    var products = 0.0;
    for (var first = begin; first < all; first += TILE) {
        let end = min(all - first, TILE);
        let before = highest;
        highest = row_max(lane, scores(p, lane, first, end, highest));
        var here = 0.0;
        var along = 0.0;
        for (var j = lane; j < end; j += 64u) {
            weight[j] = weight_of(weight[j], highest);
            here += weight[j];
            along += weight[j] * slope[j];
        }
        here = row_sum(lane, here);
        along = row_sum(lane, along);
        let fade = exp(before - highest);
        sum = select(here, sum * fade + here, first > begin);
        products = select(along, products * fade + along, first > begin);
    }
    products = products / sum;
    for (var first = begin; first < all; first += TILE) {
        let end = min(all - first, TILE);
        // Of one tile they are there still.
        if all - begin > TILE {
            workgroupBarrier();
            scores(p, lane, first, end, highest);
            for (var j = lane; j < end; j += 64u) {
                weight[j] = weight_of(weight[j], highest);
            }
        }
        for (var j = lane; j < end; j += 64u) {
            // Where nothing is seen the sum is 0, too.
            slope[j] = select(weight[j] / sum * (slope[j] - products), 0.0, MASKED && weight[j] == 0.0);
        }
        workgroupBarrier();
        for (var c = lane; c < params.width; c += 64u) {
            var value = 0.0;
            if first > begin {
                value = out[q + c];
            }
            for (var j = 0u; j < end; j += 1u) {
                value += slope[j] * keys[key_at(p, first + j) + c];
            }
            out[q + c] = value;
        }
    }
    for (var c = lane; c < params.width; c += 64u) {
        out[q + c] *= params.scale;
    }
    if lane == 0u {
        let row = row_at(p, p.at);
        rows[row] = highest + log(sum);
        rows[row + 1u] = products;
    }
}
