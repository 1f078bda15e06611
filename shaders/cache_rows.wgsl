// to_keys[positions[i]] = keys[i], to_values[positions[i]] = values[i]: what is new of a sequence goes into its caches.
// A position past their end is left out. There a head's channels are fours, which zeros fill up.

@group(0) @binding(0) var<storage, read> keys: array<f32>;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> positions: array<f32>;
@group(0) @binding(3) var<storage, read_write> to_keys: array<f32>;
@group(0) @binding(4) var<storage, read_write> to_values: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
    len: u32, // batch * length * width
    length: u32,
    width: u32, // channels of a position in the caches, of all heads
    head: u32, // channels of a head
    padded: u32, // and in the caches
    stride: u32, // from one position's keys, or values, to the next
    keys_begin: u32,
    values_begin: u32,
    capacity: u32, // positions of the caches
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
) {
    let i = flat_index(id, groups);
    if i >= params.len {
        return;
    }
    let row = i / params.width;
    let channel = i - row * params.width;
    let head = channel / params.padded;
    let own = channel - head * params.padded;
    let batch = row / params.length;
    let at = u32(positions[row - batch * params.length]);
    if at >= params.capacity {
        return;
    }
    let source = row * params.stride + head * params.head + min(own, params.head - 1u);
    let to = (batch * params.capacity + at) * params.width + channel;
    let fills = own >= params.head;
    to_keys[to] = select(keys[params.keys_begin + source], 0.0, fills);
    to_values[to] = select(values[params.values_begin + source], 0.0, fills);
}
