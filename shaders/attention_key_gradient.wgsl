// out's value j = sum over i of p_ij g_i, and its key j = scale * sum over i of p_ij (g_i . v_j - D_i) q_i, over the
// queries i that see j; `rows` is what `attention_query_gradient` left.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

var<workgroup> weight: array<f32, TILE>;
var<workgroup> slope: array<f32, TILE>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let p = place_of(id);
    let k = part(p, p.at, KEY);
    let v = part(p, p.at, VALUE);
    let begin = select(0u, p.at, CAUSAL);
    for (var first = begin; first < params.length; first += TILE) {
        let end = min(params.length - first, TILE);
        for (var i = lane; i < end; i += 64u) {
            let q = part(p, first + i, QUERY);
            let g = result(p, first + i);
            var dot = 0.0;
            var d = 0.0;
            for (var c = 0u; c < params.width; c += 1u) {
                dot += x[q + c] * x[k + c];
                d += gradient[g + c] * x[v + c];
            }
            let row = ((p.batch * params.heads + p.head) * params.length + first + i) * 2u;
            weight[i] = exp(dot * params.scale - rows[row]);
            slope[i] = weight[i] * (d - rows[row + 1u]);
        }
        workgroupBarrier();
        for (var c = lane; c < params.width; c += 64u) {
            var value = 0.0;
            var key = 0.0;
            if first > begin {
                value = out[v + c];
                key = out[k + c];
            }
            for (var i = 0u; i < end; i += 1u) {
                value += weight[i] * gradient[result(p, first + i) + c];
                key += slope[i] * x[part(p, first + i, QUERY) + c];
            }
            out[v + c] = value;
            out[k + c] = key;
        }
        workgroupBarrier();
    }
    for (var c = lane; c < params.width; c += 64u) {
        out[k + c] *= params.scale;
    }
}
