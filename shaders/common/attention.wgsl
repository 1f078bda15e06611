// Attention over x [batch, length, 3, heads, width]: queries, keys and values of each position.
//
// A workgroup of 64 is one position of one head; what it weighs other positions with is in its memory, TILE of them at
// a time.
struct Params {
    batch: u32,
    heads: u32,
    length: u32,
    width: u32,
    scale: f32,
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}

override CAUSAL: bool = false;

const TILE: u32 = 1024u;

const QUERY: u32 = 0u;
const KEY: u32 = 1u;
const VALUE: u32 = 2u;

struct Place {
    batch: u32,
    head: u32,
    at: u32,
}

// The grid is positions by heads by sequences.
fn place_of(id: vec3<u32>) -> Place {
    let group = first_group() + id;
    return Place(group.z, group.y, group.x);
}

// Where the query, key or value of position `at` begins in x.
fn part(p: Place, at: u32, which: u32) -> u32 {
    return (((p.batch * params.length + at) * 3u + which) * params.heads + p.head) * params.width;
}

// Where position `at` begins in a result [batch, length, heads, width].
fn result(p: Place, at: u32) -> u32 {
    return ((p.batch * params.length + at) * params.heads + p.head) * params.width;
}

// One past the last position that a query sees.
fn sees(at: u32) -> u32 {
    return select(params.length, at + 1u, CAUSAL);
}
