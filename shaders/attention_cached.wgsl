// out[i] = sum over j of softmax_j(scale * q_i . k_j) v_j, in each head, over the positions j up to positions[i] of the
// caches of keys and values, or where WINDOWED the last of these.
//
// A workgroup has four rows that share a head of keys: neighbouring positions, and heads of queries. It goes through 64
// positions of the caches at a time: an invocation has one of them while scores are made, and four neighbouring
// channels of some of them while values are added up, as 64 / TEAM teams of TEAM invocations. Sums so far fade as the
// highest score rises (Milakov and Gimelshein 2018).

@group(0) @binding(0) var<storage, read> queries: array<f32>;
// [batch, capacity, heads / group, fours]: channels in fours, the last of which zeros may fill up.
@group(0) @binding(1) var<storage, read> keys: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> values: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> positions: array<f32>; // of the rows
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
    heads: u32,
    group: u32, // heads of queries that share one of keys
    length: u32, // positions of the queries
    width: u32, // channels of a head
    capacity: u32, // positions of the caches
    window: u32,
    scale: f32,
    query_stride: u32, // from one position's queries to the next
    first_x: u32, // see common/cut.wgsl
    first_y: u32,
    first_z: u32,
}

override WINDOWED: bool = false;
// Invocations that have the channels of a head, four each: a power of two.
override TEAM: u32 = 16u;

// Of a position that is not seen; no other score is as low.
const HIDDEN: f32 = -3.4e38;
const BLOCK: u32 = 64u;

// Of each channel the queries of the four rows; in the end the sums of each invocation, row by row.
var<workgroup> held: array<vec4<f32>, 256>;
// A vector has the four rows: of each position of a block the scores and the weights.
var<workgroup> score: array<vec4<f32>, 64>;
var<workgroup> weight: array<vec4<f32>, 64>;
var<workgroup> partial: array<vec4<f32>, 8>;

// Four channels of each row.
struct Sums {
    x: vec4<f32>,
    y: vec4<f32>,
    z: vec4<f32>,
    w: vec4<f32>,
}

// The products of the four rows with the key whose channels begin at `key`.
fn dots_with(key: u32, fours: u32) -> vec4<f32> {
    var s = vec4<f32>();
    for (var c = 0u; c < fours; c += 1u) {
        let k = keys[key + c];
        s = fma(held[c * 4u], vec4(k.x), s);
        s = fma(held[c * 4u + 1u], vec4(k.y), s);
        s = fma(held[c * 4u + 2u], vec4(k.z), s);
        s = fma(held[c * 4u + 3u], vec4(k.w), s);
    }
    return s;
}

// The highest of 8 neighbours.
fn highest(at: u32) -> vec4<f32> {
    let low = max(max(score[at], score[at + 1u]), max(score[at + 2u], score[at + 3u]));
    let high = max(max(score[at + 4u], score[at + 5u]), max(score[at + 6u], score[at + 7u]));
    return max(low, high);
}

fn sum_of(at: u32) -> vec4<f32> {
    let low = (score[at] + score[at + 1u]) + (score[at + 2u] + score[at + 3u]);
    let high = (score[at + 4u] + score[at + 5u]) + (score[at + 6u] + score[at + 7u]);
    return low + high;
}

// What all teams have of a row's channels `lane` and its three neighbours.
fn of_teams(lane: u32, row: u32) -> vec4<f32> {
    var sum = vec4<f32>();
    for (var at = lane; at < 64u; at += TEAM) {
        sum += held[at * 4u + row];
    }
    return sum;
}

fn store(at: u32, channel: u32, value: vec4<f32>) {
    let left = params.width - min(channel, params.width);
    if left > 0u {
        out[at] = value.x;
    }
    if left > 1u {
        out[at + 1u] = value.y;
    }
    if left > 2u {
        out[at + 2u] = value.z;
    }
    if left > 3u {
        out[at + 3u] = value.w;
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) id: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let group = first_group() + id;
    let all = params.length * params.group;
    let own = group.x * 4u + vec4(0u, 1u, 2u, 3u);
    let row = min(own, vec4(all - 1u));
    let at = row / params.group;
    let head = group.y * params.group + row % params.group;
    let place = group.z * params.length + at;
    let q = place * params.query_stride + head * params.width;
    // Positions past the end of the caches are nobody's; they are held to it.
    let last_position = params.capacity - 1u;
    let sees_x = min(u32(positions[at.x]), last_position);
    let sees_y = min(u32(positions[at.y]), last_position);
    let sees_z = min(u32(positions[at.z]), last_position);
    let sees_w = min(u32(positions[at.w]), last_position);
    let sees = vec4(sees_x, sees_y, sees_z, sees_w);
    let to = max(max(sees.x, sees.y), max(sees.z, sees.w)) + 1u;
    let first = min(min(sees.x, sees.y), min(sees.z, sees.w));
    // Blocks are the same whichever rows are together, so that these change no bit.
    let begin_at = select(0u, (first - min(first, params.window - 1u)) / BLOCK * BLOCK, WINDOWED);
    let fours = (params.width + 3u) / 4u;
    let key_stride = params.heads / params.group * fours;
    let begin = group.z * params.capacity * key_stride + group.y * fours;
    let four = min(lane % TEAM, fours - 1u);
    for (var c = lane; c < 256u; c += 64u) {
        let there = min(c, params.width - 1u);
        let rows = vec4(queries[q.x + there], queries[q.y + there], queries[q.z + there], queries[q.w + there]);
        held[c] = select(vec4<f32>(), rows, c < params.width);
    }
    workgroupBarrier();
    var sums: Sums;
    var high = vec4(HIDDEN);
    // Of this invocation's positions.
    var total = vec4<f32>();
    for (var j = begin_at; j < to; j += BLOCK) {
        let mine = j + lane;
        let s = dots_with(begin + min(mine, to - 1u) * key_stride, fours) * params.scale;
        let near = vec4(!WINDOWED) | (vec4(mine + params.window) > sees);
        let seen = (vec4(mine) <= sees) & near;
        let own_score = select(vec4(HIDDEN), s, seen);
        score[lane] = own_score;
        workgroupBarrier();
        if lane < 8u {
            partial[lane] = highest(lane * 8u);
        }
        workgroupBarrier();
        let before = high;
        high = max(high, max(max(partial[0], partial[1]), max(partial[2], partial[3])));
        high = max(high, max(max(partial[4], partial[5]), max(partial[6], partial[7])));
        let fade = exp(before - high);
        let own_weight = select(vec4<f32>(), exp(s - high), seen);
        weight[lane] = own_weight;
        total = total * fade + own_weight;
        sums = Sums(sums.x * fade.x, sums.y * fade.y, sums.z * fade.z, sums.w * fade.w);
        workgroupBarrier();
        let count = min(to - j, BLOCK);
        for (var n = lane / TEAM; n < count; n += 64u / TEAM) {
            let w = weight[n];
            let v = values[begin + (j + n) * key_stride + four];
            sums.x = fma(vec4(w.x), v, sums.x);
            sums.y = fma(vec4(w.y), v, sums.y);
            sums.z = fma(vec4(w.z), v, sums.z);
            sums.w = fma(vec4(w.w), v, sums.w);
        }
    }
    // Those who read scores and queries are past the last barrier.
    score[lane] = total;
    held[lane * 4u] = sums.x;
    held[lane * 4u + 1u] = sums.y;
    held[lane * 4u + 2u] = sums.z;
    held[lane * 4u + 3u] = sums.w;
    workgroupBarrier();
    if lane < 8u {
        partial[lane] = sum_of(lane * 8u);
    }
    workgroupBarrier();
    let lower = (partial[0] + partial[1]) + (partial[2] + partial[3]);
    let sum = lower + ((partial[4] + partial[5]) + (partial[6] + partial[7]));
    if lane < fours {
        let channel = lane * 4u;
        let result = place * (params.heads * params.width) + head * params.width + channel;
        if own.x < all {
            store(result.x, channel, of_teams(lane, 0u) / sum.x);
        }
        if own.y < all {
            store(result.y, channel, of_teams(lane, 1u) / sum.y);
        }
        if own.z < all {
            store(result.z, channel, of_teams(lane, 2u) / sum.z);
        }
        if own.w < all {
            store(result.w, channel, of_teams(lane, 3u) / sum.w);
        }
    }
}
