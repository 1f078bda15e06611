// out[i] = the sum of CHAINS chains of four lanes, lane j begun as i mod 64 + j, after 4 * iterations steps v = v * factor + term:
// the rate of fused multiply-adds, from registers alone.
//
// Factor and term come from the uniform, so that no compiler can do without the loop. Both 1, each lane counts its steps.

@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@group(0) @binding(1) var<uniform> params: Params;

struct Params {
    len: u32,
    iterations: u32,
    factor: f32,
    term: f32,
}

// Chains of four lanes that do not wait for one another: 2, 4 or 8.
override CHAINS: u32 = 4;
// Whether a step is `fma`, or a product and a sum that the compiler may contract.
override FUSED: bool = true;

fn step(v: vec4<f32>, factor: vec4<f32>, term: vec4<f32>) -> vec4<f32> {
    if FUSED {
        return fma(v, factor, term);
    }
    return v * factor + term;
}

fn four(v: vec4<f32>, factor: vec4<f32>, term: vec4<f32>) -> vec4<f32> {
    return step(step(step(step(v, factor, term), factor, term), factor, term), factor, term);
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.len {
        return;
    }
    let factor = vec4<f32>(params.factor);
    let term = vec4<f32>(params.term);
    // Lanes start at different values, so that none can stand for another.
    let start = vec4<f32>(0.0, 1.0, 2.0, 3.0) + f32(i % 64u);
    var a = start;
    var b = start + 4.0;
    var c = start + 8.0;
    var d = start + 12.0;
    var e = start + 16.0;
    var f = start + 20.0;
    var g = start + 24.0;
    var h = start + 28.0;
    for (var k = 0u; k < params.iterations; k += 1u) {
        a = four(a, factor, term);
        b = four(b, factor, term);
        if CHAINS > 2u {
            c = four(c, factor, term);
            d = four(d, factor, term);
        }
        if CHAINS > 4u {
            e = four(e, factor, term);
            f = four(f, factor, term);
            g = four(g, factor, term);
            h = four(h, factor, term);
        }
    }
    var sum = a + b;
    if CHAINS > 2u {
        sum += c + d;
    }
    if CHAINS > 4u {
        sum += (e + f) + (g + h);
    }
    out[i] = (sum.x + sum.y) + (sum.z + sum.w);
}
