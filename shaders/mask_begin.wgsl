// Clears the counts of a mask's state before an update; the threshold stays, and where asked NAN.

@group(0) @binding(0) var<storage, read_write> mask_state: array<u32>;
@group(0) @binding(1) var<uniform> params: Params;

struct Params {
    keep_nan: u32,
}

@compute @workgroup_size(1)
fn main() {
    mask_state[KEPT] = 0u;
    mask_state[CHANGED] = 0u;
    mask_state[NAN] *= params.keep_nan;
}
