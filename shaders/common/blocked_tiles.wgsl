// The sums of a product with blocks of weights on a GPU: what 8 terms take of a and of the weights,
// in workgroup memory.
//
// A workgroup has the WIDTH columns of one list of blocks: SIDE by TILE_ROWS invocations, each with
// four columns and FOURS fours of rows of c. The inputs of a term are gathered while the tile is
// filled; the inner loop reads vectors. One invocation fills a whole vector:
// common/product_tiles.wgsl says why.
override SIDE: u32 = 8u; // WIDTH / 4
override TILE_ROWS: u32 = 16u;
override FOURS: u32 = 2u; // or 1
const DEPTH: u32 = 8u;

// As long as the longest tile needs, with a vector more a term against clashes between banks.
var<workgroup> tile_a: array<vec4<f32>, 520>;
var<workgroup> tile_b: array<vec4<f32>, 64>;

fn store_row(i: u32, j: u32, sum: vec4<f32>) {
    store(i, j, sum.x);
    store(i, j + 1u, sum.y);
    store(i, j + 2u, sum.z);
    store(i, j + 3u, sum.w);
}

@compute @workgroup_size(SIDE, TILE_ROWS)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let group = first_group() + id;
    let fours = TILE_ROWS * FOURS;
    let stride = fours + 1u;
    let invocations = SIDE * TILE_ROWS;
    let invocation = local.y * SIDE + local.x;
    let first_row = group.y * fours * 4u;
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var s4 = vec4<f32>();
    var s5 = vec4<f32>();
    var s6 = vec4<f32>();
    var s7 = vec4<f32>();
    let terms = terms_of(group.x);
    for (var first = terms.x; first < terms.y; first += DEPTH) {
        for (var v = invocation; v < fours * DEPTH; v += invocations) {
            // Neighbouring invocations have the inputs of neighbouring terms.
            let t = first + v % DEPTH;
            let four = v / DEPTH;
            var rows = vec4<f32>();
            if t < terms.y {
                let x = input_at(t);
                let i = first_row + four * 4u;
                rows = vec4(
                    a[row_at(i) + x],
                    a[row_at(i + 1u) + x],
                    a[row_at(i + 2u) + x],
                    a[row_at(i + 3u) + x],
                );
            }
            tile_a[v % DEPTH * stride + four] = rows;
        }
        for (var v = invocation; v < SIDE * DEPTH; v += invocations) {
            let t = first + v / SIDE;
            var weights = vec4<f32>();
            if t < terms.y {
                let at = t * WIDTH + v % SIDE * 4u;
                weights = vec4(
                    weight_at(at),
                    weight_at(at + 1u),
                    weight_at(at + 2u),
                    weight_at(at + 3u),
                );
            }
            tile_b[v] = weights;
        }
        workgroupBarrier();
        for (var t = 0u; t < DEPTH; t += 1u) {
            let b = tile_b[t * SIDE + local.x];
            let above = tile_a[t * stride + local.y];
            s0 = fma(vec4(above.x), b, s0);
            s1 = fma(vec4(above.y), b, s1);
            s2 = fma(vec4(above.z), b, s2);
            s3 = fma(vec4(above.w), b, s3);
            if FOURS > 1u {
                let below = tile_a[t * stride + TILE_ROWS + local.y];
                s4 = fma(vec4(below.x), b, s4);
                s5 = fma(vec4(below.y), b, s5);
                s6 = fma(vec4(below.z), b, s6);
                s7 = fma(vec4(below.w), b, s7);
            }
        }
        workgroupBarrier();
    }
    let i = first_row + local.y * 4u;
    let j = group.x * WIDTH + local.x * 4u;
    store_row(i, j, s0);
    store_row(i + 1u, j, s1);
    store_row(i + 2u, j, s2);
    store_row(i + 3u, j, s3);
    if FOURS > 1u {
        let below = i + TILE_ROWS * 4u;
        store_row(below, j, s4);
        store_row(below + 1u, j, s5);
        store_row(below + 2u, j, s6);
        store_row(below + 3u, j, s7);
    }
}
