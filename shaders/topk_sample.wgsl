// sample[first + s] = rank of one value of each of `count` stretches of the tensor, at a place that
// a hash chooses in it; what pads the sample to whole sixteens ranks above all. Begins the selection: the range is everything, the list is empty.

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read> protect: array<u32>;
@group(0) @binding(2) var<storage, read_write> sample: array<u32>;
@group(0) @binding(3) var<storage, read_write> state: array<u32>;
@group(0) @binding(4) var<storage, read_write> list: array<u32>;
@group(0) @binding(5) var<uniform> params: Params;

struct Params {
    first: u32,
    count: u32,
    stretch: u32,
    rest: u32,
    samples: u32,
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let s = id.x;
    if s == 0u {
        state[LOW] = 0u;
        state[NEXT] = 0xffffffffu;
        state[HIGH] = 0xffffffffu;
        state[MODE] = OPEN;
        list[LENGTH] = 0u;
        list[HIGHEST] = 0u;
    }
    if s < (16u - params.samples % 16u) % 16u {
        sample[params.samples + s] = 0xffffffffu;
    }
    if s < params.count {
        let begin = s * params.stretch + s * params.rest / params.count;
        let i = begin + random_bits(0u, params.first + s) % params.stretch;
        var word = 0u;
        if PROTECT {
            word = protect[i / 32u];
        }
        sample[params.first + s] = rank(values[i], i, word);
    }
}
