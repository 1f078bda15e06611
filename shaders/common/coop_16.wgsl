enable f16;
enable wgpu_cooperative_matrix;

const SIDE: u32 = 16u;
alias MatrixA = coop_mat16x16<f16, A>;
alias MatrixB = coop_mat16x16<f16, B>;
alias MatrixC = coop_mat16x16<f32, C>;

// Halves of what a tile is an array of. Matrices of this size are Vulkan's, which loads them from vectors too.
const ELEMENT: u32 = 4u;

var<workgroup> tile_a: array<vec4<f16>, TILE_A>;
var<workgroup> tile_b: array<vec4<f16>, TILE_B>;

fn put_a(at: u32, four: vec4<f16>) {
    tile_a[at / ELEMENT] = four;
}

fn put_b(at: u32, four: vec4<f16>) {
    tile_b[at / ELEMENT] = four;
}
