// rows[i] = (logs[i], D_i) for the gradients of `attention`, where D_i = g_i . out_i, of its result out and its
// gradient g, is the mean of g_i . v_j in the weights of query i.

@group(0) @binding(0) var<storage, read> logs: array<f32>;
@group(0) @binding(1) var<storage, read> result: array<f32>;
@group(0) @binding(2) var<storage, read> gradient: array<f32>;
@group(0) @binding(3) var<storage, read_write> rows: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    rows: u32,
    heads: u32,
    length: u32,
    width: u32,
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.rows {
        return;
    }
    let sequence = i / params.length / params.heads;
    let head = i / params.length % params.heads;
    let at = i % params.length;
    let begin = ((sequence * params.length + at) * params.heads + head) * params.width;
    var along = 0.0;
    for (var c = begin; c < begin + params.width; c += 1u) {
        along = fma(gradient[c], result[c], along);
    }
    rows[i * 2u] = logs[i];
    rows[i * 2u + 1u] = along;
}
