// out's value j = sum over i of p_ij g_i, and its key j = scale * sum over i of p_ij (g_i . v_j - D_i) q_i, over the
// queries i that see j, of the head `member` of those that share the key; `rows` is what `attention_rows` left. Added
// to what is there where ACCUMULATE.

@group(0) @binding(0) var<storage, read> queries: array<Element>;
@group(0) @binding(1) var<storage, read> keys: array<Element>;
@group(0) @binding(2) var<storage, read> values: array<Element>;
@group(0) @binding(3) var<storage, read> seen: array<f32>;
@group(0) @binding(4) var<storage, read> gradient: array<Element>;
@group(0) @binding(5) var<storage, read> rows: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<f32>;
@group(0) @binding(7) var<uniform> params: Params;

override ACCUMULATE: bool = false;

const OF_KEYS: bool = true;

fn place(group: vec3<u32>, channels: u32) -> Place {
    return shared_place_of(group, channels);
}

fn met_from(at: u32) -> u32 {
    return seen_by_from(at);
}

fn met_to(at: u32) -> u32 {
    return seen_by_to(at);
}

fn own_at(second: bool, p: Place, at: u32) -> u32 {
    return select(key_at(p, at), value_at(p, at), second);
}

fn other_at(second: bool, p: Place, at: u32) -> u32 {
    return select(query_at(p, at), result(p, at), second);
}

fn own(second: bool, at: u32) -> Element {
    var value: Element;
    if second {
        value = values[at];
    } else {
        value = keys[at];
    }
    return value;
}

fn other(second: bool, at: u32) -> Element {
    var value: Element;
    if second {
        value = gradient[at];
    } else {
        value = queries[at];
    }
    return value;
}

// Log of the sum of exponentials and D of a query.
fn known(p: Place, at: u32) -> vec2<f32> {
    let row = row_at(p, at);
    return vec2(rows[row], rows[row + 1u]);
}

fn store(second: bool, p: Place, at: u32, channel: u32, sum: f32) {
    let to = select(params.to_keys, params.to_values, second) + shared_at(p, at) + channel;
    // What nobody sees has weights of its own, that no sum of exponentials knows.
    var value = select(sum, 0.0, hidden(p, vec4(at)).x);
    if ACCUMULATE {
        value += out[to];
    }
    out[to] = value;
}
