// Sums over a workgroup of 256, in two steps: sixteen of its invocations add up a column each. No
// barrier is needed before the next sum but behind sum_before.
var<workgroup> counted: array<vec2<u32>, 256>;
var<workgroup> columns: array<vec2<u32>, 16>;

fn add_up(local: u32, own: vec2<u32>) {
    counted[local] = own;
    workgroupBarrier();
    if local < 16u {
        var sum = vec2(0u);
        for (var n = 0u; n < 16u; n += 1u) {
            sum += counted[n * 16u + local];
        }
        columns[local] = sum;
    }
    workgroupBarrier();
}

// What add_up has added up.
fn sum_of_all() -> vec2<u32> {
    var sum = vec2(0u);
    for (var n = 0u; n < 16u; n += 1u) {
        sum += columns[n];
    }
    return sum;
}

// Place of an invocation in the order of sum_before: down the columns, so that neighbours are in
// different banks.
fn place(local: u32) -> u32 {
    return local % 16u * 16u + local / 16u;
}

// The part of it that invocations at earlier places had.
fn sum_before(local: u32) -> vec2<u32> {
    let column = local % 16u;
    var sum = vec2(0u);
    for (var n = 0u; n < column; n += 1u) {
        sum += columns[n];
    }
    for (var n = column; n < local; n += 16u) {
        sum += counted[n];
    }
    return sum;
}
