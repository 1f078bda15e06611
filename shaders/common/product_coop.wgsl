// The sums of a product of halves on cooperative matrices of SIDE x SIDE: a workgroup is one subgroup, which keeps
// 2 x 2 of them, or 4 x 4 where WIDE.
//
// a and b have whole matrices (`f16_copy`), of which those past the edge are clamped while loading and skipped while
// storing; terms past the end are zeros. A launch begins at a whole matrix of terms.
override SUBGROUP: u32 = 32u;
override WIDE: bool = false;

var<workgroup> sums: array<f32, SIDE * SIDE>;

fn last_matrix(extent: u32) -> u32 {
    return (extent - 1u) / SIDE * SIDE;
}

fn load_matrix_a(i: u32, k: u32) -> MatrixA {
    let row = min(i, last_matrix(params.m));
    if TRANS_A {
        return coopLoad<MatrixA>(&a[k * params.a_stride + row], params.a_stride);
    }
    return coopLoadT<MatrixA>(&a[row * params.a_stride + k], params.a_stride);
}

fn load_matrix_b(k: u32, j: u32) -> MatrixB {
    let column = min(j, last_matrix(params.n));
    if TRANS_B {
        return coopLoad<MatrixB>(&b[column * params.b_stride + k], params.b_stride);
    }
    return coopLoadT<MatrixB>(&b[k * params.b_stride + column], params.b_stride);
}

fn store_matrix(i: u32, j: u32, lane: u32, matrix: MatrixC) {
    coopStoreT(matrix, &sums[0], SIDE);
    workgroupBarrier();
    for (var e = lane; e < SIDE * SIDE; e += SUBGROUP) {
        store(i + e / SIDE, j + e % SIDE, sums[e]);
    }
    workgroupBarrier();
}

@compute @workgroup_size(SUBGROUP)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = first_group() + id;
    let terms = begin_at(group.z);
    let side = select(2u, 4u, WIDE) * SIDE;
    let i = group.y * side;
    let j = group.x * side;
    // Named: matrices in an array are beyond the compiler.
    var s00 = MatrixC();
    var s01 = MatrixC();
    var s10 = MatrixC();
    var s11 = MatrixC();
    var s02 = MatrixC();
    var s03 = MatrixC();
    var s12 = MatrixC();
    var s13 = MatrixC();
    var s20 = MatrixC();
    var s21 = MatrixC();
    var s22 = MatrixC();
    var s23 = MatrixC();
    var s30 = MatrixC();
    var s31 = MatrixC();
    var s32 = MatrixC();
    var s33 = MatrixC();
    for (var k = terms.x; k < terms.y; k += SIDE) {
        let a0 = load_matrix_a(i, k);
        let a1 = load_matrix_a(i + SIDE, k);
        let b0 = load_matrix_b(k, j);
        let b1 = load_matrix_b(k, j + SIDE);
        s00 = coopMultiplyAdd(a0, b0, s00);
        s01 = coopMultiplyAdd(a0, b1, s01);
        s10 = coopMultiplyAdd(a1, b0, s10);
        s11 = coopMultiplyAdd(a1, b1, s11);
        if WIDE {
            let b2 = load_matrix_b(k, j + 2u * SIDE);
            let b3 = load_matrix_b(k, j + 3u * SIDE);
            s02 = coopMultiplyAdd(a0, b2, s02);
            s03 = coopMultiplyAdd(a0, b3, s03);
            s12 = coopMultiplyAdd(a1, b2, s12);
            s13 = coopMultiplyAdd(a1, b3, s13);
            let a2 = load_matrix_a(i + 2u * SIDE, k);
            s20 = coopMultiplyAdd(a2, b0, s20);
            s21 = coopMultiplyAdd(a2, b1, s21);
            s22 = coopMultiplyAdd(a2, b2, s22);
            s23 = coopMultiplyAdd(a2, b3, s23);
            let a3 = load_matrix_a(i + 3u * SIDE, k);
            s30 = coopMultiplyAdd(a3, b0, s30);
            s31 = coopMultiplyAdd(a3, b1, s31);
            s32 = coopMultiplyAdd(a3, b2, s32);
            s33 = coopMultiplyAdd(a3, b3, s33);
        }
    }
    store_matrix(i, j, lane, s00);
    store_matrix(i, j + SIDE, lane, s01);
    store_matrix(i + SIDE, j, lane, s10);
    store_matrix(i + SIDE, j + SIDE, lane, s11);
    if WIDE {
        let low = i + 2u * SIDE;
        let right = j + 2u * SIDE;
        store_matrix(i, right, lane, s02);
        store_matrix(i, right + SIDE, lane, s03);
        store_matrix(i + SIDE, right, lane, s12);
        store_matrix(i + SIDE, right + SIDE, lane, s13);
        store_matrix(low, j, lane, s20);
        store_matrix(low, j + SIDE, lane, s21);
        store_matrix(low, right, lane, s22);
        store_matrix(low, right + SIDE, lane, s23);
        store_matrix(low + SIDE, j, lane, s30);
        store_matrix(low + SIDE, j + SIDE, lane, s31);
        store_matrix(low + SIDE, right, lane, s32);
        store_matrix(low + SIDE, right + SIDE, lane, s33);
    }
}
