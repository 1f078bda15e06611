// blocks[p, q] = mean or maximum of |x|, or mean of x, over block (p, q) of values, over what is there
// of it at an edge.
//
// A block of more than 64 values has a workgroup, a smaller one an invocation. NaN makes NaN.

@group(0) @binding(0) var<storage, read> values: array<f32>;
@group(0) @binding(1) var<storage, read_write> blocks: array<f32>;
@group(0) @binding(2) var<uniform> params: Params;

struct Params {
    rows: u32,
    columns: u32,
    height: u32,
    width: u32,
}

override WIDE: bool = false;
override MAX: bool = false;
override SIGNED: bool = false;

var<workgroup> pooled: array<f32, 256>;

// Of two magnitudes; on bits, which order NaN above all.
fn higher(a: f32, b: f32) -> f32 {
    return bitcast<f32>(max(bitcast<u32>(a), bitcast<u32>(b)));
}

@compute @workgroup_size(256)
fn main(
    @builtin(global_invocation_id) id: vec3<u32>,
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let across = (params.columns + params.width - 1u) / params.width;
    let down = (params.rows + params.height - 1u) / params.height;
    let block = select(flat_index(id, groups), group.y * groups.x + group.x, WIDE);
    let lanes = select(1u, 256u, WIDE);
    let lane = select(0u, local, WIDE);
    let row = block / across * params.height;
    let column = block % across * params.width;
    var sum = 0.0;
    var count = 1u;
    if block < across * down {
        let height = min(params.height, params.rows - row);
        let width = min(params.width, params.columns - column);
        count = height * width;
        for (var e = lane; e < count; e += lanes) {
            let r = e / width;
            let value = values[(row + r) * params.columns + column + e - r * width];
            let x = select(bitcast<f32>(score(value)), value, SIGNED);
            if MAX {
                sum = higher(sum, x);
            } else {
                sum += x;
            }
        }
    }
    if WIDE {
        pooled[local] = sum;
        workgroupBarrier();
        for (var half = 128u; half > 0u; half /= 2u) {
            if local < half {
                if MAX {
                    pooled[local] = higher(pooled[local], pooled[local + half]);
                } else {
                    pooled[local] += pooled[local + half];
                }
            }
            workgroupBarrier();
        }
        sum = pooled[0];
    }
    if block < across * down && lane == 0u {
        blocks[block] = select(sum / f32(count), sum, MAX);
    }
}
