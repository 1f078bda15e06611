// The gradient of `batch_normalise` by x, where moments are those of the batch: with y its result, N the valid rows,
// out[i, j] = (g[i, j] - sum of g[., j] / N - y[i, j] * sum of (g y)[., j] / N) / sqrt(variance_j + epsilon).
// Rows of padding get 0.

@group(0) @binding(0) var<storage, read> gradient: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> moments: array<f32>;
@group(0) @binding(3) var<storage, read> gradients: array<f32>;
@group(0) @binding(4) var<storage, read> products: array<f32>;
@group(0) @binding(5) var<storage, read> step: Step;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

struct Params {
    rows: u32,
    columns: u32,
    repeat: u32,
    epsilon: f32,
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.rows * params.columns {
        return;
    }
    let row = i / params.columns;
    let j = i - row * params.columns;
    let rows = min(step.rows * params.repeat, params.rows);
    if row >= rows {
        out[i] = 0.0;
        return;
    }
    let count = f32(rows);
    let mean = gradients[j] / count;
    let along = products[j] / count;
    let scale = 1.0 / sqrt(moments[params.columns + j] + params.epsilon);
    out[i] = scale * (gradient[i] - mean - y[i] * along);
}
