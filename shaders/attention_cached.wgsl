// out[i] = sum over j of softmax_j(scale * q_i . k_j) v_j, in each head, over the positions j up to positions[i] of the
// caches of keys and values, or where WINDOWED the last of these.
//
// A workgroup has four rows that share a head of keys: neighbouring positions, and heads of queries. It goes through 64
// positions of the caches at a time: an invocation has one of them while scores are made, and up to four channels of
// the sums while values are added up. Sums so far fade as the highest score rises (Milakov and Gimelshein 2018).

@group(0) @binding(0) var<storage, read> queries: array<f32>;
@group(0) @binding(1) var<storage, read> keys: array<f32>; // [batch, capacity, heads / group, width]
@group(0) @binding(2) var<storage, read> values: array<f32>;
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
// Fours of 64 channels: what an invocation has of the sums.
override PARTS: u32 = 1u;

// Of a position that is not seen; no other score is as low.
const HIDDEN: f32 = -3.4e38;
const BLOCK: u32 = 64u;

// A vector has the four rows: of each channel the queries, of each position of a block the scores and the weights.
var<workgroup> query: array<vec4<f32>, 256>;
var<workgroup> score: array<vec4<f32>, 64>;
var<workgroup> weight: array<vec4<f32>, 64>;
var<workgroup> partial: array<vec4<f32>, 8>;

// Four rows of up to four channels.
struct Sums {
    x: vec4<f32>,
    y: vec4<f32>,
    z: vec4<f32>,
    w: vec4<f32>,
}

// Channels past the end add nothing: their queries are 0.
fn dot_with(key: u32) -> vec4<f32> {
    let last = params.width - 1u;
    var s = vec4<f32>();
    for (var c = 0u; c < params.width; c += 4u) {
        s = fma(query[c], vec4(keys[key + c]), s);
        s = fma(query[c + 1u], vec4(keys[key + min(c + 1u, last)]), s);
        s = fma(query[c + 2u], vec4(keys[key + min(c + 2u, last)]), s);
        s = fma(query[c + 3u], vec4(keys[key + min(c + 3u, last)]), s);
    }
    return s;
}

fn mix(sums: ptr<function, Sums>, w: vec4<f32>, value: u32, channel: vec4<u32>) {
    (*sums).x = fma(w, vec4(values[value + channel.x]), (*sums).x);
    if PARTS > 1u {
        (*sums).y = fma(w, vec4(values[value + channel.y]), (*sums).y);
    }
    if PARTS > 2u {
        (*sums).z = fma(w, vec4(values[value + channel.z]), (*sums).z);
    }
    if PARTS > 3u {
        (*sums).w = fma(w, vec4(values[value + channel.w]), (*sums).w);
    }
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

fn store(rows: vec4<bool>, result: vec4<u32>, channel: u32, sums: vec4<f32>) {
    if channel < params.width {
        if rows.x {
            out[result.x + channel] = sums.x;
        }
        if rows.y {
            out[result.y + channel] = sums.y;
        }
        if rows.z {
            out[result.z + channel] = sums.z;
        }
        if rows.w {
            out[result.w + channel] = sums.w;
        }
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
    let final_position = params.capacity - 1u;
    let sees_x = min(u32(positions[at.x]), final_position);
    let sees_y = min(u32(positions[at.y]), final_position);
    let sees_z = min(u32(positions[at.z]), final_position);
    let sees_w = min(u32(positions[at.w]), final_position);
    let sees = vec4(sees_x, sees_y, sees_z, sees_w);
    let to = max(max(sees.x, sees.y), max(sees.z, sees.w)) + 1u;
    let first = min(min(sees.x, sees.y), min(sees.z, sees.w));
    // Blocks are the same whichever rows are together, so that these change no bit.
    let begin_at = select(0u, (first - min(first, params.window - 1u)) / BLOCK * BLOCK, WINDOWED);
    let key_stride = params.heads / params.group * params.width;
    let begin = group.z * params.capacity * key_stride + group.y * params.width;
    let channel = min(lane + vec4(0u, 64u, 128u, 192u), vec4(params.width - 1u));
    for (var c = lane; c < 256u; c += 64u) {
        let there = min(c, params.width - 1u);
        let four = vec4(queries[q.x + there], queries[q.y + there], queries[q.z + there], queries[q.w + there]);
        query[c] = select(vec4<f32>(), four, c < params.width);
    }
    workgroupBarrier();
    var sums: Sums;
    var high = vec4(HIDDEN);
    // Of this invocation's positions.
    var total = vec4<f32>();
    for (var j = begin_at; j < to; j += BLOCK) {
        let mine = j + lane;
        let s = dot_with(begin + min(mine, to - 1u) * key_stride) * params.scale;
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
        sums = Sums(sums.x * fade, sums.y * fade, sums.z * fade, sums.w * fade);
        workgroupBarrier();
        // Weights past the last position are 0.
        let count = min(to - j, BLOCK);
        for (var n = 0u; n < count; n += 4u) {
            let there = begin + min(j + n + vec4(0u, 1u, 2u, 3u), vec4(to - 1u)) * key_stride;
            mix(&sums, weight[n], there.x, channel);
            mix(&sums, weight[n + 1u], there.y, channel);
            mix(&sums, weight[n + 2u], there.z, channel);
            mix(&sums, weight[n + 3u], there.w, channel);
        }
    }
    // Those who read scores are past the last barrier.
    score[lane] = total;
    workgroupBarrier();
    if lane < 8u {
        partial[lane] = sum_of(lane * 8u);
    }
    workgroupBarrier();
    let lower = (partial[0] + partial[1]) + (partial[2] + partial[3]);
    let sum = lower + ((partial[4] + partial[5]) + (partial[6] + partial[7]));
    let rows = own < vec4(all);
    let result = place * (params.heads * params.width) + head * params.width;
    store(rows, result, lane, sums.x / sum);
    if PARTS > 1u {
        store(rows, result, lane + 64u, sums.y / sum);
    }
    if PARTS > 2u {
        store(rows, result, lane + 128u, sums.z / sum);
    }
    if PARTS > 3u {
        store(rows, result, lane + 192u, sums.w / sum);
    }
}
