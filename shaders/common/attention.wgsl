// Attention over queries [batch, length, heads, width] and keys and values [batch, length, heads / group, width]: each
// in a buffer of its own, or side by side in each position of one.
//
// A workgroup has some neighbouring positions of one head, its rows, and goes through blocks of the positions that any
// of them meets, its columns; blocks that none of them meets are left out. Of wide heads it makes a slice of the sums'
// channels. How it does so is another file's: attention_tiles*.wgsl in memory that invocations share, on any adapter;
// attention_lanes*.wgsl where lanes broadcast.
struct Params {
    batch: u32,
    heads: u32,
    group: u32,
    member: u32,
    length: u32,
    width: u32,
    window: u32,
    scale: f32,
    query_stride: u32,
    key_stride: u32,
    keys_begin: u32,
    values_begin: u32,
    to_keys: u32,
    to_values: u32,
    met_begin: u32, // the columns of this launch
    met_end: u32,
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}

override CAUSAL: bool = false;
override WINDOWED: bool = false;
override MASKED: bool = false;

// Of a position that is not seen; no other score is as low.
const HIDDEN: f32 = -3.4e38;

struct Place {
    batch: u32,
    head: u32, // of the queries
    kv_head: u32, // of keys and values
}

fn slices(channels: u32) -> u32 {
    return (params.width + channels - 1u) / channels;
}

// The grid is rows by heads of queries by slices of sequences.
fn place_of(group: vec3<u32>, channels: u32) -> Place {
    return Place(group.z / slices(channels), group.y, group.y / params.group);
}

// The grid is rows by heads of keys and values by slices of sequences.
fn shared_place_of(group: vec3<u32>, channels: u32) -> Place {
    return Place(group.z / slices(channels), group.y * params.group + params.member, group.y);
}

// The first channel of the sums that the workgroup makes.
fn slice_of(group: vec3<u32>, channels: u32) -> u32 {
    return group.z % slices(channels) * channels;
}

fn query_at(p: Place, at: u32) -> u32 {
    return (p.batch * params.length + at) * params.query_stride + p.head * params.width;
}

// Behind the first key, or the first value.
fn shared_at(p: Place, at: u32) -> u32 {
    return (p.batch * params.length + at) * params.key_stride + p.kv_head * params.width;
}

fn key_at(p: Place, at: u32) -> u32 {
    return params.keys_begin + shared_at(p, at);
}

fn value_at(p: Place, at: u32) -> u32 {
    return params.values_begin + shared_at(p, at);
}

// Where position `at` begins in a result [batch, length, heads, width].
fn result(p: Place, at: u32) -> u32 {
    return ((p.batch * params.length + at) * params.heads + p.head) * params.width;
}

// Where a query's part of `rows` begins.
fn row_at(p: Place, at: u32) -> u32 {
    return ((p.batch * params.heads + p.head) * params.length + at) * 2u;
}

// First position that the position sees backwards.
fn backwards(at: u32) -> u32 {
    return select(0u, at - min(at, params.window - 1u), WINDOWED);
}

// One past the last position that it sees forwards.
fn forwards(at: u32) -> u32 {
    return select(params.length, min(params.length, at + params.window), WINDOWED);
}

// The positions that a query sees: from the first, to one past the last.
fn seen_from(at: u32) -> u32 {
    return backwards(at);
}

fn seen_to(at: u32) -> u32 {
    return select(forwards(at), at + 1u, CAUSAL);
}

// The queries that see a position.
fn seen_by_from(at: u32) -> u32 {
    return select(backwards(at), at, CAUSAL);
}

fn seen_by_to(at: u32) -> u32 {
    return forwards(at);
}

// Whether a query is where it sees a position, if anybody does.
fn sees(query: vec4<u32>, at: vec4<u32>) -> vec4<bool> {
    let before = vec4(!CAUSAL) | (at <= query);
    let near = (at + params.window > query) & (query + params.window > at);
    return before & (vec4(!WINDOWED) | near);
}

// Whether nobody sees positions.
fn hidden(p: Place, at: vec4<u32>) -> vec4<bool> {
    var is = vec4(false);
    if MASKED {
        let begin = p.batch * params.length;
        is = vec4(seen[begin + at.x], seen[begin + at.y], seen[begin + at.z], seen[begin + at.w]) == vec4<f32>();
    }
    return is;
}
