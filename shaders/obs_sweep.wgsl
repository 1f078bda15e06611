// One block of inputs of W [inputs, units], input after input: what is pruned becomes 0, and the inputs behind it in the
// block make up for it. With the block's upper triangle U of the factor, for j = 0, 1, ...:
//   e[j] = W[j] / U[j, j] where pruned, else 0;   W[k] -= e[j] U[j, k] for k > j;   W[j] = 0 where pruned
// errors is -e, for the product that adds it to the inputs behind the block.
//
// One invocation a unit, and none looks at another's. A panel of inputs first hears of all those before it, so that
// most of the sums stay in registers. Where GROUPED, of every m inputs the n stay whose |W| / U[j, j] is highest by
// then, the first of equal ones; else `selected` has the block's mask, bit j * units + r.
override GROUPED: bool = false;

@group(0) @binding(0) var<storage, read> factor: array<f32>;
@group(0) @binding(1) var<storage, read> selected: array<u32>;
@group(0) @binding(2) var<storage, read_write> weights: array<f32>;
@group(0) @binding(3) var<storage, read_write> errors: array<f32>;
@group(0) @binding(4) var<storage, read_write> mask: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read_write> mask_state: array<atomic<u32>>;
@group(0) @binding(6) var<uniform> params: Params;

struct Params {
    inputs: u32,
    units: u32,
    first: u32, // input of the block's first row
    count: u32, // inputs of the block, 128 at most
    diagonal: u32, // where its [count, count] begins in the factor
    panel: u32, // inputs of a panel, whole groups
    n: u32,
    m: u32,
}

// 128 inputs of 32 units: weights, and -e of those that are done.
var<workgroup> held: array<f32, 4096>;

// Bits of the group's inputs that do not stay.
fn pruned_of_group(begin: u32, end: u32, local: u32) -> u32 {
    var pruned = 0u;
    for (var a = begin; a < end; a += 1u) {
        let own = rank_at(a, local);
        var before = 0u;
        for (var b = begin; b < end; b += 1u) {
            let other = rank_at(b, local);
            before += u32((other > own) | ((other == own) & (b < a)));
        }
        pruned |= u32(before >= params.n) << (a - begin);
    }
    return pruned;
}

fn rank_at(j: u32, local: u32) -> u32 {
    let root = factor[params.diagonal + j * params.count + j];
    return score(select(0.0, held[j * 32u + local] / root, root > 0.0));
}

@compute @workgroup_size(32)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let unit = id.x;
    if unit >= params.units {
        return;
    }
    let count = params.count;
    var not_a_number = 0u;
    for (var j = 0u; j < count; j += 1u) {
        let w = weights[(params.first + j) * params.units + unit];
        let seen = factor[params.diagonal + j * count + j] > 0.0;
        held[j * 32u + local] = select(0.0, w, seen);
        not_a_number += u32(is_nan(w));
    }
    var word = weight_at(params.first, unit) / 32u;
    var stays = 0u;
    var goes = 0u;
    var kept = 0u;
    var changed = 0u;
    for (var begin = 0u; begin < count; begin += params.panel) {
        let end = min(begin + params.panel, count);
        // Four inputs at once. What is read past the panel's end is thrown away; it is within the factor, as the rows
        // here end four words or more before the triangle does.
        for (var k = begin; k < end; k += 4u) {
            var sum = vec4<f32>();
            for (var i = 0u; i < begin; i += 1u) {
                let u = params.diagonal + i * count + k;
                let row = vec4(factor[u], factor[u + 1u], factor[u + 2u], factor[u + 3u]);
                sum = fma(vec4(held[i * 32u + local]), row, sum);
            }
            let at = k * 32u + local;
            held[at] += sum.x;
            if k + 1u < end {
                held[at + 32u] += sum.y;
            }
            if k + 2u < end {
                held[at + 64u] += sum.z;
            }
            if k + 3u < end {
                held[at + 96u] += sum.w;
            }
        }
        var group = 0u;
        for (var j = begin; j < end; j += 1u) {
            let i = j * params.units + unit;
            var prune = false;
            if GROUPED {
                let place = (j - begin) % params.m;
                if place == 0u {
                    group = pruned_of_group(j, min(j + params.m, count), local);
                }
                prune = bit(group, place);
            } else {
                prune = !bit(selected[i / 32u], i);
            }
            let row = params.diagonal + j * count;
            let root = factor[row + j];
            let w = held[j * 32u + local];
            let e = select(0.0, -w / root, prune && root > 0.0);
            held[j * 32u + local] = e;
            errors[i] = e;
            weights[(params.first + j) * params.units + unit] = select(w, 0.0, prune);
            for (var k = j + 1u; k < end; k += 1u) {
                held[k * 32u + local] = fma(e, factor[row + k], held[k * 32u + local]);
            }
            let at = weight_at(params.first + j, unit);
            if at / 32u != word {
                changed += write_bits(word, stays, goes);
                kept += countOneBits(stays);
                word = at / 32u;
                stays = 0u;
                goes = 0u;
            }
            stays |= u32(!prune) << (at & 31u);
            goes |= u32(prune) << (at & 31u);
            // Bits past the end of a mask are clear.
            if at + 1u == params.inputs * params.units && (at & 31u) < 31u {
                atomicAnd(&mask[word], (2u << (at & 31u)) - 1u);
            }
        }
    }
    changed += write_bits(word, stays, goes);
    kept += countOneBits(stays);
    atomicAdd(&mask_state[KEPT], kept);
    atomicAdd(&mask_state[CHANGED], changed);
    if not_a_number > 0u {
        atomicAdd(&mask_state[NAN], not_a_number);
    }
}

// Sets and clears bits that are this invocation's in a word that others write, too: how many were otherwise.
fn write_bits(word: u32, stays: u32, goes: u32) -> u32 {
    let before = atomicOr(&mask[word], stays);
    let between = atomicAnd(&mask[word], ~goes);
    return countOneBits(stays & ~before) + countOneBits(goes & between);
}
