// matmul.wgsl, where b is a weight of which whole groups are pruned: terms are left out that no
// weight of a workgroup's columns has part in. common/live_terms.wgsl has the table `live`.

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> gate: array<f32>;
@group(0) @binding(5) var<storage, read> live: array<u32>;
@group(0) @binding(6) var<storage, read_write> c: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

struct Params {
    m: u32,
    n: u32,
    k: u32,
    k_begin: u32,
    k_end: u32,
    part_terms: u32, // where SPLIT
    a_begin: u32, // where the matrices begin in a and c
    c_begin: u32,
    first_column: u32, // row of b for it, where TRANS_B
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}
