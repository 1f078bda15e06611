//! `attention` with its gradients: shared heads, windows, what is not seen, in one operand and in
//! three, in lanes and in tiles.
use secateur::gpu::{Gpu, Slot, Target};
use secateur::kernels::*;

use crate::common::{Noise, Rig, Tol, bounds_of, gpu};

/// What a shape's operands hold.
pub(super) struct Operands {
    pub queries: Vec<f32>,
    pub keys: Vec<f32>,
    pub values: Vec<f32>,
    pub seen: Vec<f32>,
    pub gradient: Vec<f32>,
}

impl Operands {
    pub fn new(shape: &Heads) -> Self {
        let Heads { batch, heads, kv_heads, length, width, .. } = *shape;
        let mut noise = Noise::new(u64::from(length));
        let mut of =
            |heads: u32, most| noise.floats((batch * length * heads * width) as usize, most);
        let packed = if shape.packed { 2 * kv_heads } else { 0 };
        let (queries, gradient) = (of(heads + packed, 2.0), of(heads, 1.0));
        let (keys, values) = (of(kv_heads, 2.0), of(kv_heads, 1.5));
        // Of the first sequence nothing is seen, as of a row that only fills the batch.
        let seen = (0..batch * length).map(|i| f32::from(u8::from(i >= length && i % 3 != 1)));
        Self { queries, keys, values, seen: seen.collect(), gradient }
    }

    /// The result and both parts of the gradient, by the device, as suits `target`.
    fn run(&self, shape: Heads, target: Target) -> Option<[Vec<f32>; 3]> {
        Some(self.run_on(gpu()?, shape, target))
    }

    /// The same on `gpu`.
    pub fn run_on(&self, gpu: &Gpu, shape: Heads, target: Target) -> [Vec<f32>; 3] {
        let mut rig = Rig::for_target(gpu, target);
        let queries = rig.slot("queries", &self.queries);
        let [keys, values] = match shape.packed {
            true => [queries; 2],
            false => [rig.slot("keys", &self.keys), rig.slot("values", &self.values)],
        };
        let seen: Option<Slot> = shape.masked.then(|| rig.slot("seen", &self.seen));
        let gradient = rig.slot("gradient", &self.gradient);
        let out = rig.output("out", self.gradient.len());
        let logs = rig.output("logs", shape.queries() as usize);
        let rows = rig.output("rows", shape.rows() as usize);
        let to_queries = rig.output("to_queries", self.queries.len());
        let to_keys = match shape.packed {
            true => to_queries,
            false => rig.output("to_keys", 2 * self.keys.len()),
        };
        let of = Attended { shape, queries, keys, values, seen };
        Attention { of, logs, out }.push(&mut rig.plan).unwrap();
        rig.push(AttentionRows { shape, logs, result: out, gradient, rows });
        let queries = AttentionQueryGradient { of, gradient, rows, out: to_queries };
        queries.push(&mut rig.plan).unwrap();
        let keys = AttentionKeyGradient { of, gradient, rows, out: to_keys, member: 0 };
        keys.push(&mut rig.plan).unwrap();
        let bench = rig.run();
        [out, to_queries, to_keys].map(|slot| bench.read(slot))
    }

    fn check(&self, shape: Heads) {
        let Some(gpu) = gpu() else { return };
        self.check_for(shape, gpu.target());
    }

    /// The result alone, with at most `most` positions a launch.
    pub fn in_parts(&self, gpu: &Gpu, shape: Heads, target: Target, most: u32) -> Vec<f32> {
        let mut rig = Rig::for_target(gpu, target);
        let [queries, keys, values] = [&self.queries, &self.keys, &self.values];
        let queries = rig.slot("queries", queries);
        let [keys, values] = [rig.slot("keys", keys), rig.slot("values", values)];
        let seen: Option<Slot> = shape.masked.then(|| rig.slot("seen", &self.seen));
        let out = rig.output("out", self.gradient.len());
        let logs = rig.output("logs", shape.queries() as usize);
        let of = Attended { shape, queries, keys, values, seen };
        Attention { of, logs, out }.push_in_parts(&mut rig.plan, most).unwrap();
        rig.run().read(out)
    }

    fn check_for(&self, shape: Heads, target: Target) {
        let Some(gpu) = gpu() else { return };
        self.check_on(gpu, shape, target, 1);
    }

    /// The result and its gradients, where operands are rounded as sums of `roundings` terms are at
    /// least.
    pub fn check_on(&self, gpu: &Gpu, shape: Heads, target: Target, roundings: usize) {
        let got = self.run_on(gpu, shape, target);
        let [out, to_queries, to_keys] = &got;
        let context = |e| panic!("{shape:?}: {e}");
        let wide: Vec<f64> = self.seen.iter().map(|&s| s.into()).collect();
        let seen = shape.masked.then_some(wide.as_slice());
        let of = |x: &[Vec<f64>]| {
            let [queries, keys, values] = if shape.packed { [0; 3] } else { [0, 1, 2] };
            let [queries, keys, values] = [queries, keys, values].map(|i| x[i].clone());
            move |f: &dyn Fn(&AttendedValues<'_>) -> Vec<f64>| {
                let (queries, keys, values) = (&queries, &keys, &values);
                f(&AttendedValues { queries, keys, values, seen })
            }
        };
        let terms = 64 + (shape.length * shape.width * shape.group()) as usize;
        let terms = terms.max(roundings);
        let operands = [&*self.queries, &self.keys, &self.values, &self.gradient];
        let forward = |x: &[Vec<f64>]| of(x)(&|of| attention_reference(&shape, of));
        let (want, bounds) = bounds_of(&operands, terms, forward);
        Tol::Within(&bounds).check(out, &want).unwrap_or_else(context);
        let back =
            |x: &[Vec<f64>]| of(x)(&|of| attention_gradient_reference(&shape, &x[3], of).concat());
        let (mut want, mut bounds) = bounds_of(&operands, terms, back);
        let len = self.queries.len();
        if shape.packed {
            for all in [&mut want, &mut bounds] {
                let second = all.split_off(len);
                all.iter_mut().zip(second).for_each(|(sum, x)| *sum += x);
            }
            Tol::Within(&bounds).check(to_queries, &want).unwrap_or_else(context);
        } else {
            let (first, second) = (&want[..len], &want[len..]);
            Tol::Within(&bounds[..len]).check(to_queries, first).unwrap_or_else(context);
            Tol::Within(&bounds[len..]).check(to_keys, second).unwrap_or_else(context);
        }
        assert_eq!(got, self.run_on(gpu, shape, target), "two runs differ");
    }
}

#[test]
fn attention_and_its_gradients() {
    let sizes = [
        [1, 1, 1, 1],
        [2, 3, 5, 4],
        [1, 2, 65, 33],
        // More channels than a workgroup's sums have.
        [3, 1, 129, 65],
        [1, 2, 40, 256],
        [1, 1, 1024, 8],
        [1, 1, 1025, 2],
    ];
    for size in sizes {
        for causal in [true, false] {
            let shape = Heads::new(size).causal(causal).packed(true);
            Operands::new(&shape).check(shape);
        }
    }
}

#[test]
fn heads_share_keys_and_values() {
    for (size, kv_heads) in
        [([2, 4, 9, 3], 2), ([1, 6, 33, 8], 2), ([2, 7, 65, 4], 1), ([1, 2, 1030, 2], 1)]
    {
        for causal in [true, false] {
            for packed in [true, false] {
                let shape = Heads::new(size).kv_heads(kv_heads).causal(causal).packed(packed);
                Operands::new(&shape).check(shape);
            }
        }
    }
}

#[test]
fn windows_and_positions_that_nobody_sees() {
    let near = [(None, false), (Some(1), false), (Some(3), true), (Some(3), false)];
    let far = [(None, true), (Some(1), true), (Some(64), true), (Some(64), false)];
    for (size, seen) in [([2, 2, 7, 3], near), ([3, 4, 67, 5], far)] {
        for (window, causal) in seen {
            let shape = Heads::new(size).kv_heads(2).causal(causal).window(window);
            let shape = shape.masked(true).packed(window == Some(3)).scale(0.3);
            Operands::new(&shape).check(shape);
        }
    }
    // Of many positions all but some of the first, and of the last.
    let shape = Heads::new([2, 1, 1100, 1]).window(Some(1050)).masked(true);
    Operands::new(&shape).check(shape);
}

/// Tiles run anywhere, though a software adapter's compiler takes long for each pipeline of them.
/// Around blocks of 64 positions and 16 terms, in slices of 64 and of 128 channels.
#[test]
fn tiles_on_any_adapter() {
    let causal = |size| Heads::new(size).causal(true);
    let shapes = [
        causal([1, 1, 1, 20]),
        causal([2, 4, 67, 5]).kv_heads(2),
        causal([1, 2, 31, 8]).kv_heads(1),
        causal([1, 1, 33, 80]),
        causal([1, 2, 65, 128]).kv_heads(1),
        causal([1, 1, 257, 64]),
        causal([1, 1, 129, 200]),
        Heads::new([3, 2, 45, 70]).window(Some(20)).masked(true).packed(true),
    ];
    for shape in shapes {
        Operands::new(&shape).check_for(shape, Target::default());
    }
}

/// Past any number that fits one launch, a launch goes on where the one before has stopped: in
/// lanes and in tiles, in slices of channels, and where rows see nothing of some launches.
#[test]
fn positions_part_by_part() {
    let Some(gpu) = gpu() else { return };
    let shapes = [
        Heads::new([2, 2, 200, 33]).kv_heads(1).window(Some(30)).masked(true),
        Heads::new([1, 1, 70, 140]),
    ];
    for shape in shapes {
        let operands = Operands::new(&shape);
        let seen: Vec<f64> = operands.seen.iter().map(|&s| s.into()).collect();
        let terms = 64 + (shape.length * shape.width) as usize;
        let operands_of = [&*operands.queries, &operands.keys, &operands.values];
        let (want, bounds) = bounds_of(&operands_of, terms, |x| {
            let [queries, keys, values] = x else { panic!("three operands") };
            let seen = shape.masked.then_some(seen.as_slice());
            attention_reference(&shape, &AttendedValues { queries, keys, values, seen })
        });
        for target in [gpu.target(), Target::default()] {
            let got = operands.in_parts(gpu, shape, target, 64);
            let context = |e| panic!("{shape:?}: {e}");
            Tol::Within(&bounds).check(&got, &want).unwrap_or_else(context);
            // Of the first sequence nothing is seen by any launch.
            let zeros = if shape.masked { got.len() / 2 } else { 0 };
            assert!(got[..zeros].iter().all(|&x| x == 0.0));
            assert_eq!(got, operands.in_parts(gpu, shape, target, 64), "two runs");
        }
    }
}

/// What many positions have where all keys are alike: means over all that a query sees, and no
/// gradient of queries.
#[test]
fn long_sequences_are_means_where_keys_are_alike() {
    let Some(gpu) = gpu() else { return };
    let width = 8;
    for length in [1025_usize, 4097] {
        let shape = Heads::new([1, 1, length as u32, width as u32]).causal(true);
        let mut of = Operands::new(&shape);
        let first = of.keys[..width].to_vec();
        of.keys = first.iter().copied().cycle().take(length * width).collect();
        let (mut means, mut sum) = (Vec::new(), vec![0.0_f64; width]);
        for (i, v) in of.values.chunks(width).enumerate() {
            sum.iter_mut().zip(v).for_each(|(sum, &v)| *sum += f64::from(v));
            means.extend(sum.iter().map(|sum| sum / (i + 1) as f64));
        }
        // Of values: the sum of the gradients of those that see them, each by its share. Of keys:
        // the same of slopes, which a matrix of sums makes of a value.
        let (mut to_keys, mut to_values) = (vec![0.0; length * width], vec![0.0; length * width]);
        let (mut shares, mut along) = (vec![0.0_f64; width], vec![0.0_f64; width]);
        let mut outer = vec![0.0_f64; width * width];
        for i in (0..length).rev() {
            let row = i * width..(i + 1) * width;
            let [g, q, v] = [&of.gradient, &of.queries, &of.values]
                .map(|x| x[row.clone()].iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
            let share = 1.0 / (i + 1) as f64;
            let mean: f64 = g.iter().zip(&means[row.clone()]).map(|(g, m)| g * m).sum();
            for c in 0..width {
                shares[c] += g[c] * share;
                along[c] += q[c] * share * mean;
                (0..width).for_each(|d| outer[c * width + d] += q[c] * g[d] * share);
                to_values[i * width + c] = shares[c];
            }
            for c in 0..width {
                let slope: f64 = (0..width).map(|d| outer[c * width + d] * v[d]).sum();
                to_keys[i * width + c] = f64::from(shape.scale) * (slope - along[c]);
            }
        }
        let want = [to_keys, to_values].concat();
        // Operands are below 2 and terms below 4; sums of n roundings at random grow as the root.
        let most = (length as f64).sqrt() * 8.0 * f64::from(f32::EPSILON);
        for target in [gpu.target(), Target::default()] {
            let Some([out, to_queries, got]) = of.run(shape, target) else { return };
            let far = |got: &[f32], want: &[f64]| {
                got.iter().zip(want).map(|(&x, w)| (f64::from(x) - w).abs()).fold(0.0, f64::max)
            };
            let errors = [far(&out, &means), far(&got, &want)];
            let queries = to_queries.iter().map(|x| f64::from(x.abs())).fold(0.0, f64::max);
            assert!(errors.iter().all(|&e| e < most) && queries < most, "{errors:?} {queries}");
        }
    }
}

/// What sees nobody has the result 0, and what nobody sees has no gradient: to the bit.
#[test]
fn what_is_not_seen_is_zero() {
    let Some(gpu) = gpu() else { return };
    let shape = Heads::new([2, 2, 70, 20]).masked(true);
    let of = Operands::new(&shape);
    for target in [gpu.target(), Target::default()] {
        let Some([out, to_queries, to_both]) = of.run(shape, target) else { return };
        // Nothing of the first sequence is seen.
        let row = 2 * 20;
        let first = 70 * row;
        assert!(out[..first].iter().all(|&x| x == 0.0));
        assert!(to_queries[..first].iter().all(|&x| x == 0.0));
        for part in to_both.chunks(2 * first) {
            for (at, seen) in of.seen.iter().enumerate() {
                let zero = part[at * row..(at + 1) * row].iter().all(|&x| x == 0.0);
                assert!(zero == (*seen == 0.0), "position {at}");
            }
        }
    }
}

/// The reference of the gradients, by central differences of that of the result.
#[test]
fn the_reference_is_the_gradient() {
    for (shape, step) in [
        (Heads::new([1, 4, 6, 3]).kv_heads(2).causal(true), 1e-5),
        (Heads::new([2, 2, 5, 2]).window(Some(2)).masked(true), 1e-5),
    ] {
        let of = Operands::new(&shape);
        let wide = |x: &[f32]| x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let mut x = [&of.queries, &of.keys, &of.values].map(|x| wide(x));
        let (gradient, seen) = (wide(&of.gradient), wide(&of.seen));
        let seen = shape.masked.then_some(seen.as_slice());
        let along = |[queries, keys, values]: &[Vec<f64>; 3]| -> f64 {
            let out = attention_reference(&shape, &AttendedValues { queries, keys, values, seen });
            out.iter().zip(&gradient).map(|(x, g)| x * g).sum()
        };
        let [queries, keys, values] = &x;
        let of = AttendedValues { queries, keys, values, seen };
        let [to_queries, to_both] = attention_gradient_reference(&shape, &gradient, &of);
        let (to_keys, to_values) = to_both.split_at(keys.len());
        let want = [to_queries.clone(), to_keys.to_vec(), to_values.to_vec()];
        for (operand, want) in want.iter().enumerate() {
            for (at, want) in want.iter().enumerate() {
                let mut moved = |by: f64| {
                    x[operand][at] += by;
                    let value = along(&x);
                    x[operand][at] -= by;
                    value
                };
                let slope = (moved(step) - moved(-step)) / (2.0 * step);
                assert!((slope - want).abs() < 1e-7, "operand {operand} at {at}: {slope}, {want}");
            }
        }
    }
}

/// A key far below all others, and scores of which an exponential would overflow.
#[test]
fn large_scores_do_not_overflow() {
    let shape = Heads::new([1, 1, 40, 4]).scale(50.0);
    let mut operands = Operands::new(&shape);
    operands.keys.iter_mut().for_each(|k| *k *= 30.0);
    let Some(gpu) = gpu() else { return };
    for target in [gpu.target(), Target::default()] {
        let Some(got) = operands.run(shape, target) else { return };
        assert!(got.concat().iter().all(|x| x.is_finite()), "{got:?}");
    }
}
