// c = activation(parts[0] + parts[1] + ... (+ c) + bias) * slope(gate), element by element, in the order of the parts:
// what a product does to its finished sums, where their terms were split (common/product.wgsl).

@group(0) @binding(0) var<storage, read> parts: array<f32>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read> gate: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@group(0) @binding(4) var<uniform> params: Params;

struct Params {
    len: u32,
    parts: u32,
    units: u32, // of the bias
    begin: u32, // of the result in c
}

override BIAS: bool = false;
override ACTIVATION: u32 = IDENTITY;
override GATE: u32 = IDENTITY;
override ACCUMULATE: bool = false;

@compute @workgroup_size(64)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = (group.y * groups.x + group.x) * 64u + id.x % 64u;
    if i >= params.len {
        return;
    }
    var value = 0.0;
    var part = 0u;
    // Four loads are on their way at once; the order of the additions stays.
    for (; part + 3u < params.parts; part += 4u) {
        let at = part * params.len + i;
        let first = parts[at];
        let second = parts[at + params.len];
        let third = parts[at + 2u * params.len];
        let fourth = parts[at + 3u * params.len];
        value += first;
        value += second;
        value += third;
        value += fourth;
    }
    for (; part < params.parts; part += 1u) {
        value += parts[part * params.len + i];
    }
    let at = params.begin + i;
    if ACCUMULATE {
        value += c[at];
    }
    if BIAS {
        value += bias[i % params.units];
    }
    value = activate(ACTIVATION, value);
    if GATE != IDENTITY {
        value *= slope(GATE, gate[at]);
    }
    c[at] = value;
}
