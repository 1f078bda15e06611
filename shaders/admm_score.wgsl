// score = |scale weights + product + dual| of each weight of W [inputs, units], written where the weight is stored: what
// the next step of ADMM would keep. At FIRST there is no product and no dual.
override FIRST: bool = false;

@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read> scale: array<f32>;
@group(0) @binding(2) var<storage, read> product: array<f32>;
@group(0) @binding(3) var<storage, read> dual: array<f32>;
@group(0) @binding(4) var<storage, read_write> score: array<f32>;
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
    var v = scale[input] * weights[i];
    if !FIRST {
        v += product[i] + dual[i];
    }
    score[weight_at(input, unit)] = abs(v);
}
