// score[j, r] = |weights[first + j, r]| / factor[j, j] of the inputs of a block and units r; 0 where the diagonal is 0,
// of an input that was never seen. weights is [inputs, units].

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> factor: array<f32>;
@group(0) @binding(2) var<storage, read_write> score: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    units: u32,
    first: u32, // input of the block's first row
    count: u32, // inputs of the block
    diagonal: u32, // where its [count, count] begins in the factor
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let unit = id.x;
    let j = id.y;
    if unit >= params.units || j >= params.count {
        return;
    }
    let root = factor[params.diagonal + j * params.count + j];
    let magnitude = abs(weights[(params.first + j) * params.units + unit]);
    score[j * params.units + unit] = select(0.0, magnitude / root, root > 0.0);
}
