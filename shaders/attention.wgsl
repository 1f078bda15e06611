// out[i] = sum over j of softmax_j(scale * q_i . k_j) v_j, in each head; over the positions j that i sees. Where it sees
// none, 0. logs[i] = log of the sum of exponentials, for the gradients; HIDDEN where that is 0.
//
// Where RESUMED an earlier launch has gone through the positions before this one's: `out` and `before` are what it left.

@group(0) @binding(0) var<storage, read> queries: array<Element>;
@group(0) @binding(1) var<storage, read> keys: array<Element>;
@group(0) @binding(2) var<storage, read> values: array<Element>;
@group(0) @binding(3) var<storage, read> seen: array<f32>;
@group(0) @binding(4) var<storage, read> before: array<f32>;
@group(0) @binding(5) var<storage, read_write> logs: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

override RESUMED: bool = false;

fn own_at(second: bool, p: Place, at: u32) -> u32 {
    return query_at(p, at);
}

fn other_at(second: bool, p: Place, at: u32) -> u32 {
    return select(key_at(p, at), value_at(p, at), second);
}

fn own(second: bool, at: u32) -> Element {
    return queries[at];
}

fn other(second: bool, at: u32) -> Element {
    var value: Element;
    if second {
        value = values[at];
    } else {
        value = keys[at];
    }
    return value;
}

fn log_at(p: Place, at: u32) -> u32 {
    return (p.batch * params.heads + p.head) * params.length + at;
}

// The log of the sum of exponentials of scores whose highest is `high`, and whose sum at that height is `total`.
fn log_of(high: vec4<f32>, total: vec4<f32>) -> vec4<f32> {
    return select(high + log(total), vec4(HIDDEN), total == vec4<f32>());
}

fn log_so_far(p: Place, at: u32) -> f32 {
    return before[log_at(p, at)];
}

fn note(p: Place, at: u32, value: f32) {
    logs[log_at(p, at)] = value;
}

fn store(second: bool, p: Place, at: u32, channel: u32, value: f32) {
    out[result(p, at) + channel] = value;
}
