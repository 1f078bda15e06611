// out[t, c] = sum of gradient[i, c] over the positions i whose token is t, in their order.
//
// A workgroup a row of the table; of 256 tokens at a time it marks those that are its own, and only these
// are read from the gradient.

@group(0) @binding(0) var<storage, read> tokens: array<f32>;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    begin: u32,
    end: u32,
    rows: u32,
    columns: u32,
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}

override ACCUMULATE: bool = false;

// Or is the same in any order.
var<workgroup> marks: array<atomic<u32>, 8>;

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = first_group() + id;
    let row = group.x;
    let column = group.y * 256u + lane;
    var sum = 0.0;
    for (var begin = params.begin; begin < params.end; begin += 256u) {
        if lane < 8u {
            atomicStore(&marks[lane], 0u);
        }
        workgroupBarrier();
        let i = begin + lane;
        if i < params.end && min(u32(tokens[i]), params.rows - 1u) == row {
            atomicOr(&marks[lane / 32u], 1u << (lane & 31u));
        }
        workgroupBarrier();
        for (var word = 0u; word < 8u; word += 1u) {
            var bits = atomicLoad(&marks[word]);
            while bits != 0u {
                let position = begin + word * 32u + firstTrailingBit(bits);
                bits &= bits - 1u;
                if column < params.columns {
                    sum += gradient[position * params.columns + column];
                }
            }
        }
        workgroupBarrier();
    }
    if column < params.columns {
        let at = row * params.columns + column;
        if ACCUMULATE {
            sum += out[at];
        }
        out[at] = sum;
    }
}
