// peaks[u] = input of the value of unit u that scores highest; of equal ones the first.
//
// A workgroup has 16 units, and 16 invocations for each, which take every 16th input.

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> peaks: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    inputs: u32,
    units: u32,
}

var<workgroup> scores: array<u32, 256>;
var<workgroup> found: array<u32, 256>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let unit = (group.y * groups.x + group.x) * 16u + local % 16u;
    var best = 0u;
    var input = 0xffffffffu;
    if unit < params.units {
        for (var r = local / 16u; r < params.inputs; r += 16u) {
            let s = score(values[weight_at(r, unit)]);
            if s > best || input == 0xffffffffu {
                best = s;
                input = r;
            }
        }
    }
    scores[local] = best;
    found[local] = input;
    workgroupBarrier();
    for (var half = 128u; half >= 16u; half /= 2u) {
        if local < half {
            let s = scores[local + half];
            let r = found[local + half];
            if s > scores[local] || (s == scores[local] && r < found[local]) {
                scores[local] = s;
                found[local] = r;
            }
        }
        workgroupBarrier();
    }
    if local < 16u && unit < params.units {
        peaks[unit] = found[local];
    }
}
