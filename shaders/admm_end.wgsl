// weights = (scale weights + product + dual) / scale where the mask keeps, else 0, of W [inputs, units]; 0 where the
// scale is 0, of an input that was never seen. The mask lies as the weights are stored.

@group(0) @binding(0) var<storage, read> scale: array<f32>;
@group(0) @binding(1) var<storage, read> product: array<f32>;
@group(0) @binding(2) var<storage, read> dual: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<u32>;
@group(0) @binding(4) var<storage, read_write> weights: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
    inputs: u32,
    units: u32,
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let unit = id.x;
    let input = id.y;
    if unit >= params.units || input >= params.inputs {
        return;
    }
    let i = input * params.units + unit;
    let at = weight_at(input, unit);
    let length = scale[input];
    let moved = weights[i] + (product[i] + dual[i]) / length;
    weights[i] = select(0.0, moved, bit(mask[at / 32u], at) && length > 0.0);
}
