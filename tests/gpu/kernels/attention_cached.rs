//! `attention_cached` and `cache_rows`: shared heads, windows, one operand and three, positions
//! everywhere in the caches and past their end.
use secateur::gpu::Slot;
use secateur::kernels::*;

use crate::common::{Noise, Rig, Tol, bounds_of, gpu};

/// What a shape's operands hold.
struct Operands {
    /// Queries, keys and values, or one that has all three.
    new: Vec<Vec<f32>>,
    caches: [Vec<f32>; 2],
    positions: Vec<f32>,
}

impl Operands {
    /// New positions from `first` on.
    fn new(shape: &CachedHeads, first: u32) -> Self {
        let Heads { batch, heads, kv_heads, length, width, packed, .. } = shape.heads;
        let mut noise = Noise::new(u64::from(length + shape.capacity));
        let mut of = |positions: u32, heads: u32| {
            noise.floats((batch * positions * heads * width) as usize, 2.0)
        };
        let new = match packed {
            true => vec![of(length, heads + 2 * kv_heads)],
            false => vec![of(length, heads), of(length, kv_heads), of(length, kv_heads)],
        };
        let cache = (batch * shape.capacity * kv_heads * shape.padded()) as usize;
        let caches = [(); 2].map(|()| noise.floats(cache, 2.0));
        let positions = (first..first + length).map(|at| at as f32).collect();
        Self { new, caches, positions }
    }

    /// The caches behind it, and the result.
    fn run(&self, shape: CachedHeads) -> Option<[Vec<f32>; 3]> {
        let mut rig = Rig::new(gpu()?);
        let new: Vec<Slot> = self.new.iter().map(|values| rig.slot("new", values)).collect();
        let (queries, keys, values) = (new[0], new[new.len() / 3], new[new.len() / 3 * 2]);
        let positions = rig.slot("positions", &self.positions);
        let [to_keys, to_values] = [0, 1].map(|i| rig.slot("cache", &self.caches[i]));
        let Heads { batch, heads, length, width, .. } = shape.heads;
        let out = rig.output("out", (batch * heads * length * width) as usize);
        rig.push(CacheRows { shape, keys, values, positions, to_keys, to_values });
        let (keys, values) = (to_keys, to_values);
        rig.push(AttentionCached { shape, queries, keys, values, positions, out });
        let bench = rig.run();
        Some([to_keys, to_values, out].map(|slot| bench.read(slot)))
    }

    fn check(&self, shape: CachedHeads) {
        let Some(got) = self.run(shape) else { return };
        let wide = |values: &[f32]| values.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
        let context = |e| panic!("{shape:?}, from {}: {e}", self.positions[0]);
        let at = wide(&self.positions);
        let put = |new: &[Vec<f64>], caches: [&[f64]; 2]| {
            let of = |i: usize| &*new[new.len() / 3 * i];
            cache_rows_reference(&shape, [of(1), of(2)], &at, caches)
        };
        let new: Vec<Vec<f64>> = self.new.iter().map(|values| wide(values)).collect();
        let [keys, values] = [0, 1].map(|i| wide(&self.caches[i]));
        let want = put(&new, [&keys, &values]);
        Tol::Exact.check(&got[0], &want[0]).unwrap_or_else(context);
        Tol::Exact.check(&got[1], &want[1]).unwrap_or_else(context);
        let operands: Vec<&[f32]> =
            self.new.iter().chain(&self.caches).map(Vec::as_slice).collect();
        let attend = |x: &[Vec<f64>]| {
            let (new, caches) = x.split_at(self.new.len());
            let caches = put(new, [&caches[0], &caches[1]]);
            attention_cached_reference(&shape, &new[0], [&caches[0], &caches[1]], &at)
        };
        let terms = 64 + (shape.capacity * shape.heads.width) as usize;
        let (want, bounds) = bounds_of(&operands, terms, attend);
        Tol::Within(&bounds).check(&got[2], &want).unwrap_or_else(context);
        assert_eq!(Some(&got), self.run(shape).as_ref(), "two runs differ");
    }
}

fn check(size: [u32; 4], kv_heads: u32, [capacity, first]: [u32; 2], window: Option<u32>) {
    for packed in [false, true] {
        let heads = Heads::new(size).kv_heads(kv_heads).causal(true).window(window);
        let shape = CachedHeads { heads: heads.packed(packed), capacity };
        Operands::new(&shape, first).check(shape);
    }
}

#[test]
fn a_position_sees_all_before_it() {
    check([1, 1, 1, 1], 1, [1, 0], None);
    check([1, 3, 1, 4], 1, [70, 0], None);
    check([1, 2, 1, 33], 2, [64, 63], None);
    check([1, 6, 1, 64], 2, [65, 64], None);
    check([1, 2, 1, 65], 1, [130, 128], None);
    check([1, 1, 1, 256], 1, [67, 40], None);
    check([1, 1, 1, 190], 1, [9, 8], None);
}

#[test]
fn several_positions_at_once() {
    check([2, 2, 5, 3], 1, [140, 61], None);
    check([1, 6, 7, 8], 2, [10, 3], None);
    check([2, 1, 67, 5], 1, [67, 0], None);
}

#[test]
fn windows_of_the_caches() {
    check([1, 2, 1, 3], 1, [200, 199], Some(1));
    check([1, 2, 9, 3], 2, [200, 120], Some(5));
    check([1, 4, 6, 2], 2, [200, 3], Some(64));
    check([1, 2, 3, 2], 2, [140, 137], Some(500));
}

/// As of what fills up the last part of a prompt.
#[test]
fn positions_past_the_end_are_not_kept() {
    check([1, 2, 5, 3], 1, [10, 8], None);
    check([2, 1, 4, 3], 1, [6, 6], Some(2));
}

/// Rows that are together change no bit of each other.
#[test]
fn a_position_alone_has_the_bits_that_it_has_with_others() {
    for window in [None, Some(37)] {
        let of = |length: u32| {
            let heads = Heads::new([1, 4, length, 24]).kv_heads(2).causal(true).window(window);
            CachedHeads { heads, capacity: 150 }
        };
        let together = Operands::new(&of(3), 100);
        let Some([keys, values, all]) = together.run(of(3)) else { return };
        for (i, want) in all.chunks(4 * 24).enumerate() {
            let row = |values: &[f32]| {
                let width = values.len() / 3;
                values[i * width..(i + 1) * width].to_vec()
            };
            let new = together.new.iter().map(|values| row(values)).collect();
            let caches = [keys.clone(), values.clone()];
            let alone = Operands { new, caches, positions: vec![100.0 + i as f32] };
            assert_eq!(alone.run(of(1)).unwrap()[2], want, "row {i}, window {window:?}");
        }
    }
}

/// A key far below all others, and scores of which an exponential would overflow.
#[test]
fn large_scores_of_a_cache_do_not_overflow() {
    let heads = Heads::new([1, 1, 2, 4]).causal(true).scale(50.0);
    let shape = CachedHeads { heads, capacity: 130 };
    let mut operands = Operands::new(&shape, 128);
    operands.caches[0].iter_mut().for_each(|k| *k *= 30.0);
    let Some(got) = operands.run(shape) else { return };
    assert!(got[2].iter().all(|x| x.is_finite()), "{got:?}");
}

#[test]
fn caches_that_no_launch_can_go_over_are_refused() {
    let refused = |width, capacity, length, what: &str| {
        let heads = Heads::new([1, 1, length, width]).causal(true);
        let shape = CachedHeads { heads, capacity };
        let mut plan = secateur::gpu::PlanBuilder::default();
        plan.phase("test");
        let mut slot = |words| plan.persistent("slot", words);
        let [queries, keys, values] = [slot(1 << 20), slot(1 << 28), slot(1 << 28)];
        let [positions, out] = [slot(1 << 20), slot(1 << 20)];
        let kernel = AttentionCached { shape, queries, keys, values, positions, out };
        let error = plan.push(kernel).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    refused(257, 10, 1, "257 channels, at most 256");
    refused(64, 10, 11, "11 new positions, and caches of 10");
    refused(64, 100_000, 1, "at most 30000; take fewer positions");
}
