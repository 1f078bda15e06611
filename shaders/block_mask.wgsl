// Bit (r, c) of mask = bit (r / height, c / width) of blocks. One invocation a word.

@group(0) @binding(0) var<storage, read> blocks: array<u32>;
@group(0) @binding(1) var<storage, read_write> mask_state: array<atomic<u32>>;
@group(0) @binding(2) var<storage, read_write> mask: array<u32>;
@group(0) @binding(3) var<uniform> params: Params;

struct Params {
    rows: u32,
    columns: u32,
    height: u32,
    width: u32,
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let len = params.rows * params.columns;
    let word = flat_index(id, groups);
    var bits = 0u;
    var changed = 0u;
    if word * 32u < len {
        let across = (params.columns + params.width - 1u) / params.width;
        for (var n = 0u; n < 32u; n += 1u) {
            let i = word * 32u + n;
            if i < len {
                let row = i / params.columns;
                let column = i - row * params.columns;
                let block = row / params.height * across + column / params.width;
                bits |= u32(bit(blocks[block / 32u], block)) << n;
            }
        }
        changed = countOneBits(bits ^ mask[word]);
        mask[word] = bits;
    }
    tally(local, countOneBits(bits), changed);
}
