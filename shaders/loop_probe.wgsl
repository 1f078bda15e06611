// count[i] = number of iterations that invocation i made of a loop of `iterations`.
//
// Some software adapters cut an invocation off after a number of iterations, without an error.

@group(0) @binding(0) var<storage, read_write> count: array<u32>;
@group(0) @binding(1) var<uniform> params: Params;

struct Params {
    len: u32,
    iterations: u32,
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= params.len {
        return;
    }
    // Depends on the memory's contents, so that no compiler can do without the loop.
    var n = count[i];
    for (var k = 0u; k < params.iterations; k += 1u) {
        n = n + 1u + (n >> 31u);
    }
    count[i] = n;
}
