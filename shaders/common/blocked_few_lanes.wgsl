// The same as common/blocked_few.wgsl, to the same bits, where subgroups have 8 lanes that
// broadcast to each other: a lane has up to four columns and all eighths of their terms.
//
// Of 8 terms each lane loads what the rows have of another, and its neighbours hear of it.
const SLICES: u32 = 8u;

fn load_weights(at: u32) -> vec4<f32> {
    var row = vec4(weight_at(at), 0.0, 0.0, 0.0);
    if WIDTH > 8u {
        row.y = weight_at(at + 8u);
    }
    if WIDTH > 16u {
        row.z = weight_at(at + 16u);
        row.w = weight_at(at + 24u);
    }
    return row;
}

fn store_row(i: u32, j: vec4<u32>, sum: vec4<f32>) {
    store(i, j.x, sum.x);
    if WIDTH > 8u {
        store(i, j.y, sum.y);
    }
    if WIDTH > 16u {
        store(i, j.z, sum.z);
        store(i, j.w, sum.w);
    }
}

@compute @workgroup_size(8)
fn main(@builtin(workgroup_id) id: vec3<u32>, @builtin(subgroup_invocation_id) lane: u32) {
    let group = first_group() + id;
    let terms = terms_of(group.x);
    let slice = (terms.y - terms.x + SLICES - 1u) / SLICES;
    let column = lane % WIDTH;
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    for (var begin = terms.x; begin < terms.y; begin += slice) {
        let end = min(begin + slice, terms.y);
        var p0 = vec4<f32>();
        var p1 = vec4<f32>();
        var p2 = vec4<f32>();
        var p3 = vec4<f32>();
        for (var first = begin; first < end; first += 8u) {
            let own = first_rows(input_at(min(first + lane, end - 1u)));
            let count = min(end - first, 8u);
            for (var t = 0u; t < count; t += 1u) {
                let row = load_weights((first + t) * WIDTH + column);
                let heard = subgroupShuffle(own, t);
                p0 = fma(vec4(heard.x), row, p0);
                if ROWS > 1u {
                    p1 = fma(vec4(heard.y), row, p1);
                }
                if ROWS > 2u {
                    p2 = fma(vec4(heard.z), row, p2);
                    p3 = fma(vec4(heard.w), row, p3);
                }
            }
        }
        s0 += p0;
        s1 += p1;
        s2 += p2;
        s3 += p3;
    }
    let columns = group.x * WIDTH + lane + vec4(0u, 8u, 16u, 24u);
    let j = select(vec4(params.n), columns, vec4(lane < WIDTH));
    store_row(0u, j, s0);
    if ROWS > 1u {
        store_row(1u, j, s1);
    }
    if ROWS > 2u {
        store_row(2u, j, s2);
        store_row(3u, j, s3);
    }
}
