// One step of ADMM for W [inputs, units] where only what a mask keeps may differ from 0. With W0 = scale weights, the
// product of the step before, and V = W0 + product + dual:
//   Z = V where the mask keeps, else 0;   dual = V - Z;   difference = Z - dual - W0
// At FIRST there is no product and no dual. The mask lies as the weights are stored.
override FIRST: bool = false;

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> scale: array<f32>;
@group(0) @binding(2) var<storage, read> product: array<f32>;
@group(0) @binding(3) var<storage, read> mask: array<u32>;
@group(0) @binding(4) var<storage, read_write> dual: array<f32>;
@group(0) @binding(5) var<storage, read_write> difference: array<f32>;
@group(0) @binding(6) var<uniform> params: Params;

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
    let target_weight = scale[input] * weights[i];
    var v = target_weight;
    if !FIRST {
        v += product[i] + dual[i];
    }
    let at = weight_at(input, unit);
    let keeps = bit(mask[at / 32u], at);
    let z = select(0.0, v, keeps);
    let left = v - z;
    dual[i] = left;
    difference[i] = z - left - target_weight;
}
