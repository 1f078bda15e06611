// peak[at] = bits of max |x| over the finite values, `len` of them from `begin` on; it is zero before.

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> peak: array<atomic<u32>>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    len: u32,
    per_invocation: u32,
    at: u32,
    begin: u32,
}

var<workgroup> highest: atomic<u32>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    if local == 0u {
        atomicStore(&highest, 0u);
    }
    workgroupBarrier();
    let first = group.x * 256u * params.per_invocation + local;
    var own = 0u;
    for (var n = 0u; n < params.per_invocation; n += 1u) {
        let i = first + n * 256u;
        if i < params.len {
            let s = score(values[params.begin + i]);
            own = select(own, max(own, s), s < INFINITE);
        }
    }
    atomicMax(&highest, own);
    workgroupBarrier();
    if local == 0u {
        atomicMax(&peak[params.at], atomicLoad(&highest));
    }
}
