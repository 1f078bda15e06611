// Attention over queries [batch, length, heads, width] and keys and values [batch, length, heads / group, width]: each
// in a buffer of its own, or side by side in each position of one.
//
// A workgroup of 64 is one position of one head; what it weighs other positions with is in its memory, TILE of them at
// a time.
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
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}

override CAUSAL: bool = false;
override WINDOWED: bool = false;
override MASKED: bool = false;

const TILE: u32 = 1024u;
// Of a position that is not seen; no other score is as low.
const HIDDEN: f32 = -3.4e38;

struct Place {
    batch: u32,
    head: u32, // of the queries
    kv_head: u32, // of keys and values
    at: u32,
}

// The grid is positions by heads of queries by sequences.
fn place_of(id: vec3<u32>) -> Place {
    let group = first_group() + id;
    return Place(group.z, group.y, group.y / params.group, group.x);
}

// The grid is positions by heads of keys and values by sequences.
fn shared_place_of(id: vec3<u32>) -> Place {
    let group = first_group() + id;
    return Place(group.z, group.y * params.group + params.member, group.y, group.x);
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

// Whether nobody sees a position.
fn is_hidden(p: Place, at: u32) -> bool {
    return MASKED && seen[p.batch * params.length + at] == 0.0;
}

// The weight of a score before it is divided by their sum.
fn weight_of(score: f32, highest: f32) -> f32 {
    return select(exp(score - highest), 0.0, MASKED && score == HIDDEN);
}
