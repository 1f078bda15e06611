// With p_ij the weights of `attention`, g_i the gradient of its result and d_ij = g_i . v_j:
// out's query i = scale * sum over j of p_ij (d_ij - D_i) k_j, where D_i = sum over j of p_ij d_ij.
//
// rows[i] holds for the keys' gradient log of the sum of exponentials, and D_i. Of more than TILE positions the scores
// are computed twice: once for these two, once for the sums.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> rows: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> weight: array<f32, TILE>;
var<workgroup> slope: array<f32, TILE>;

// Scores and d of the positions from `first` on, this lane's; the highest of them and `highest`.
fn scores(p: Place, lane: u32, first: u32, end: u32, highest: f32) -> f32 {
    let q = part(p, p.at, QUERY);
    let g = result(p, p.at);
    var highest_yet = highest;
    for (var j = lane; j < end; j += 64u) {
        let k = part(p, first + j, KEY);
        let v = part(p, first + j, VALUE);
        var dot = 0.0;
        var d = 0.0;
        for (var c = 0u; c < params.width; c += 1u) {
            dot += x[q + c] * x[k + c];
            d += gradient[g + c] * x[v + c];
        }
        weight[j] = dot * params.scale;
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
    let q = part(p, p.at, QUERY);
    let all = sees(p.at);
    var highest = -3.4e38;
    var sum = 0.0;
    var products = 0.0;
    for (var first = 0u; first < all; first += TILE) {
        let end = min(all - first, TILE);
        let before = highest;
        highest = row_max(lane, scores(p, lane, first, end, highest));
        var here = 0.0;
        var along = 0.0;
        for (var j = lane; j < end; j += 64u) {
            weight[j] = exp(weight[j] - highest);
            here += weight[j];
            along += weight[j] * slope[j];
        }
        here = row_sum(lane, here);
        along = row_sum(lane, along);
        let fade = exp(before - highest);
        sum = select(here, sum * fade + here, first > 0u);
        products = select(along, products * fade + along, first > 0u);
    }
    products = products / sum;
    for (var first = 0u; first < all; first += TILE) {
        let end = min(all - first, TILE);
        // Of one tile they are there still.
        if all > TILE {
            workgroupBarrier();
            scores(p, lane, first, end, highest);
            for (var j = lane; j < end; j += 64u) {
                weight[j] = exp(weight[j] - highest);
            }
        }
        for (var j = lane; j < end; j += 64u) {
            slope[j] = weight[j] / sum * (slope[j] - products);
        }
        workgroupBarrier();
        for (var c = lane; c < params.width; c += 64u) {
            var value = 0.0;
            if first > 0u {
                value = out[q + c];
            }
            for (var j = 0u; j < end; j += 1u) {
                value += slope[j] * x[part(p, first + j, KEY) + c];
            }
            out[q + c] = value;
        }
    }
    for (var c = lane; c < params.width; c += 64u) {
        out[q + c] *= params.scale;
    }
    if lane == 0u {
        let row = ((p.batch * params.heads + p.head) * params.length + p.at) * 2u;
        rows[row] = highest + log(sum);
        rows[row + 1u] = products;
    }
}
