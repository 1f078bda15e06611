// A step of a recurrent layer in one launch: sums of states times weights, and what its cell makes
// of them. The kernel's file binds `weights` and `mask`, and has `Sums` (a unit's gates, whose sums
// one invocation needs together), `terms`, `state_at`, `weights_at`, `neighbours_are_terms` and
// `finish`.
//
// Steps are short and each waits for the one before, so a workgroup is small and waits seldom: 8
// units by 8 rows, and 4 slices of the terms, of which 64 are staged at a time while the next are
// on their way. Rows and units past the edge are clamped while loading; terms past the end are
// zeros. The sums of the slices are added in their order.
const SIDE: u32 = 8u;
const SLICES: u32 = 4u;
const DEPTH: u32 = 64u;
const INVOCATIONS: u32 = 256u;

// SIDE rows of DEPTH, and DEPTH terms of SIDE, each with a place more against clashes between
// banks.
var<workgroup> states: array<f32, 520>;
var<workgroup> weights_of_units: array<Sums, 576>;
// Those of all slices but the first.
var<workgroup> slices: array<Sums, 192>;

override MASKED: bool = false;

fn weight(at: u32) -> f32 {
    var value = weights[at];
    if MASKED {
        value = select(0.0, value, bit(mask[at / 32u], at));
    }
    return value;
}

fn load_state(row: u32, k: u32) -> f32 {
    var value = 0.0;
    if k < terms() {
        value = state_at(min(row, params.rows - 1u), k);
    }
    return value;
}

fn load_weights(k: u32, unit: u32) -> Sums {
    var value = Sums();
    if k < terms() {
        value = weights_at(k, min(unit, params.units - 1u));
    }
    return value;
}

// Term and unit of the weights that an invocation loads: neighbours load neighbouring words.
fn place_of_weights(n: u32) -> vec2<u32> {
    return select(vec2(n / SIDE, n % SIDE), vec2(n % DEPTH, n / DEPTH), neighbours_are_terms());
}

@compute @workgroup_size(8, 8, 4)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) at: u32,
) {
    let first_row = group.y * SIDE;
    let first_unit = group.x * SIDE;
    let half = SIDE / 2u;
    let upper = vec2(at / DEPTH, at % DEPTH); // row and term
    let first = place_of_weights(at);
    let second = place_of_weights(at + INVOCATIONS);
    var state = load_state(first_row + upper.x, upper.y);
    var lower_state = load_state(first_row + half + upper.x, upper.y);
    var weights_of_first = load_weights(first.x, first_unit + first.y);
    var weights_of_second = load_weights(second.x, first_unit + second.y);
    var sums = Sums();
    for (var k = 0u; k < terms(); k += DEPTH) {
        states[upper.x * (DEPTH + 1u) + upper.y] = state;
        states[(half + upper.x) * (DEPTH + 1u) + upper.y] = lower_state;
        weights_of_units[first.x * (SIDE + 1u) + first.y] = weights_of_first;
        weights_of_units[second.x * (SIDE + 1u) + second.y] = weights_of_second;
        workgroupBarrier();
        let next = k + DEPTH;
        if next < terms() {
            state = load_state(first_row + upper.x, next + upper.y);
            lower_state = load_state(first_row + half + upper.x, next + upper.y);
            weights_of_first = load_weights(next + first.x, first_unit + first.y);
            weights_of_second = load_weights(next + second.x, first_unit + second.y);
        }
        let begin = local.z * (DEPTH / SLICES);
        for (var t = begin; t < begin + DEPTH / SLICES; t += 1u) {
            let of_row = Sums(states[local.y * (DEPTH + 1u) + t]);
            sums = fma(of_row, weights_of_units[t * (SIDE + 1u) + local.x], sums);
        }
        workgroupBarrier();
    }
    let place = local.y * SIDE + local.x;
    if local.z > 0u {
        slices[(local.z - 1u) * SIDE * SIDE + place] = sums;
    }
    workgroupBarrier();
    let row = first_row + local.y;
    let unit = first_unit + local.x;
    if (local.z == 0u) & (row < params.rows) & (unit < params.units) {
        sums += slices[place];
        sums += slices[SIDE * SIDE + place];
        sums += slices[2u * SIDE * SIDE + place];
        finish(row, unit, sums);
    }
}
