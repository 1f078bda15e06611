enable f16;
enable wgpu_cooperative_matrix;

const SIDE: u32 = 8u;
alias MatrixA = coop_mat8x8<f16, A>;
alias MatrixB = coop_mat8x8<f16, B>;
alias MatrixC = coop_mat8x8<f32, C>;

// Single halves: Metal, which has matrices of this size, loads them from nothing else.
const ELEMENT: u32 = 1u;

var<workgroup> tile_a: array<f16, TILE_A>;
var<workgroup> tile_b: array<f16, TILE_B>;

fn put_a(at: u32, four: vec4<f16>) {
    tile_a[at] = four.x;
    tile_a[at + 1u] = four.y;
    tile_a[at + 2u] = four.z;
    tile_a[at + 3u] = four.w;
}

fn put_b(at: u32, four: vec4<f16>) {
    tile_b[at] = four.x;
    tile_b[at + 1u] = four.y;
    tile_b[at + 2u] = four.z;
    tile_b[at + 3u] = four.w;
}
