// score[i] = (number of floats from -infinity up to movement[i]) / 2, as the bits of a float.
//
// From -infinity to infinity there are 0xff000002 bit patterns; halved, they end at just infinity.
// All in integers: no bit depends on how an adapter treats NaN and denormals.

@group(0) @binding(0) var<storage, read> movement: array<u32>;
@group(0) @binding(1) var<storage, read_write> score: array<u32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    len: u32,
}

const SIGN: u32 = 0x80000000u;
const INFINITE: u32 = 0x7f800000u;
const LOWEST: u32 = 0x007fffffu; // -infinity, in the order of unsigned integers

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.len {
        return;
    }
    let bits = movement[i];
    let magnitude = bits & ~SIGN;
    if magnitude > INFINITE {
        score[i] = magnitude;
        return;
    }
    let order = select(bits ^ SIGN, ~bits, bits >= SIGN);
    score[i] = (order - LOWEST) >> 1u;
}
