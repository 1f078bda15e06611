//! `attention` with its gradients: shared heads, windows, what is not seen, in one operand and in
//! three, in lanes and in tiles.
use secateur::gpu::{Slot, Target};
use secateur::kernels::*;

use crate::common::{Noise, Rig, Tol, bounds_of, gpu};

/// What a shape's operands hold.
struct Operands {
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    seen: Vec<f32>,
    gradient: Vec<f32>,
}

impl Operands {
    fn new(shape: &Heads) -> Self {
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
        let mut rig = Rig::for_target(gpu()?, target);
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
        Some([out, to_queries, to_keys].map(|slot| bench.read(slot)))
    }

    fn check(&self, shape: Heads) {
        let Some(gpu) = gpu() else { return };
        self.check_for(shape, gpu.target());
    }

    fn check_for(&self, shape: Heads, target: Target) {
        let Some(got) = self.run(shape, target) else { return };
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
        assert_eq!(Some(&got), self.run(shape, target).as_ref(), "two runs differ");
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
#[test]
fn tiles_on_any_adapter() {
    let shape = Heads::new([2, 4, 67, 5]).kv_heads(2).causal(true);
    Operands::new(&shape).check_for(shape, Target::default());
    let shape = Heads::new([3, 2, 45, 70]).window(Some(20)).masked(true).packed(true);
    Operands::new(&shape).check_for(shape, Target::default());
}

/// A key far below all others, and scores of which an exponential would overflow.
#[test]
fn large_scores_do_not_overflow() {
    let shape = Heads::new([1, 1, 40, 4]).scale(50.0);
    let mut operands = Operands::new(&shape);
    operands.keys.iter_mut().for_each(|k| *k *= 30.0);
    let Some(gpu) = gpu() else { return };
    let Some(got) = operands.run(shape, gpu.target()) else { return };
    assert!(got.concat().iter().all(|x| x.is_finite()), "{got:?}");
}
