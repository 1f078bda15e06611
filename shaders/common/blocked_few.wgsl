// The sums of a product of up to four rows with blocks of weights: an invocation has a column and
// an eighth of its terms, one behind the other, of all rows; the eighths are added up in their
// order.
//
// A workgroup has the WIDTH columns of one list of blocks.
override COLUMNS: u32 = 32u; // WIDTH
const SLICES: u32 = 8u;

var<workgroup> held: array<vec4<f32>, 256>;

@compute @workgroup_size(COLUMNS, SLICES)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
) {
    let group = first_group() + id;
    let terms = terms_of(group.x);
    let slice = (terms.y - terms.x + SLICES - 1u) / SLICES;
    let begin = min(terms.x + local.y * slice, terms.y);
    let end = min(begin + slice, terms.y);
    var sum = vec4<f32>();
    for (var t = begin; t < end; t += 1u) {
        sum = plus(sum, weight_at(t * WIDTH + local.x), first_rows(input_at(t)));
    }
    held[local.y * COLUMNS + local.x] = sum;
    workgroupBarrier();
    if local.y > 0u {
        return;
    }
    for (var s = 1u; s < SLICES; s += 1u) {
        sum += held[s * COLUMNS + local.x];
    }
    let j = group.x * WIDTH + local.x;
    store(0u, j, sum.x);
    store(1u, j, sum.y);
    store(2u, j, sum.z);
    store(3u, j, sum.w);
}
