// Several rows of a, turned: a column of them is neighbours, as many fours as there are rows and
// some that nobody reads. So a gathered column costs one load for four rows.
@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>;

fn row_of(i: u32, column: u32) -> vec4<f32> {
    return a[column * params.fours + i / 4u];
}
