//! How a selection narrows its range: each way that it can end, from any first guess.
use secateur::gpu::{Gpu, Slot};
use secateur::kernels::*;

use crate::common::{Bench, Noise, Rig, Tol, gpu};

/// Tensors of one selection, as slots and as one vector.
struct Group<'a> {
    bench: Bench<'a>,
    tensors: Vec<Ranked>,
    counts: Slot,
    state: Slot,
    histogram: Slot,
    all: Vec<f32>,
    protect: Option<Vec<u32>>,
}

impl<'a> Group<'a> {
    /// Over tensors of `lens`, whose protected bits are those of `protect` from their place on.
    fn new(gpu: &'a Gpu, all: Vec<f32>, lens: &[usize], protect: Option<Vec<u32>>) -> Self {
        let mut rig = Rig::new(gpu);
        let (counts, state) =
            (rig.output("counts", 1), rig.output("state", Selection::STATE_WORDS as usize));
        let histogram = rig.slot("histogram", &[0u32; Selection::HISTOGRAM_WORDS as usize]);
        let mut tensors = Vec::new();
        let mut first = 0;
        for &len in lens {
            let values = rig.slot("values", &all[first..first + len]);
            let own = |bits: &Vec<u32>| -> Vec<u32> {
                assert_eq!(first % 32, 0);
                bits[first / 32..].to_vec()
            };
            let protect = protect.as_ref().map(own).map(|bits| rig.slot("protect", &bits));
            let mask = rig.slot("mask", &Noise::new(len as u64).words(len.div_ceil(32)));
            let mask_state = rig.slot("mask_state", &[MaskState::default()]);
            rig.push(MaskBegin { mask_state, keep_nan: false });
            let (scores, len) = (true, len as u32);
            tensors.push(Ranked { values, protect, scores, mask_state, mask, len });
            first += len as usize;
        }
        let selection = Selection { counts, selection: 0, histogram, state };
        selection.push(&mut rig.plan, "values", &tensors).unwrap_or_else(|e| panic!("{e}"));
        Self { bench: rig.build(), tensors, counts, state, histogram, all, protect }
    }

    /// Selects twice, and holds masks and counts to sorting; the mode that it ended in.
    fn check(&self, prune: usize, what: &str) -> u32 {
        self.bench.upload(self.counts, &[prune as u32]);
        let want = topk_reference(&self.all, self.protect.as_deref(), prune);
        let mut first = 0;
        let old = |t: &Ranked| -> (Vec<u32>, MaskState) {
            (self.bench.read(t.mask), self.bench.read(t.mask_state)[0])
        };
        let old: Vec<_> = self.tensors.iter().map(old).collect();
        self.bench.run();
        let left: Vec<u32> = self.bench.read(self.histogram);
        assert!(left.iter().all(|&count| count == 0), "{what}: the histograms are left zero");
        for (t, (old, before)) in self.tensors.iter().zip(old) {
            let mask: Vec<u32> = self.bench.read(t.mask);
            let state: MaskState = self.bench.read(t.mask_state)[0];
            let (mut kept, mut changed) = (0, 0);
            for i in 0..t.len as usize {
                let stays = bit(&want, first + i);
                assert_eq!(bit(&mask, i), stays, "{what}, prune {prune}: value {i}");
                (kept, changed) =
                    (kept + u32::from(stays), changed + u32::from(bit(&old, i) != stays));
            }
            if !t.len.is_multiple_of(32) {
                // What is behind the last value is 0 afterwards, and may not have been.
                changed += (old[mask.len() - 1] >> (t.len % 32)).count_ones();
            }
            let nan = (first..first + t.len as usize).filter(|&i| self.all[i].is_nan()).count();
            let pruned = (0..self.all.len()).filter(|&i| !bit(&want, i));
            let rank = |i: usize| {
                let high = self.protect.as_ref().is_some_and(|bits| bit(bits, i));
                (self.all[i].to_bits() & 0x7fff_ffff) | u32::from(high) << 31
            };
            let score = pruned.map(rank).max().unwrap_or(0);
            let got = (state.kept, state.changed, state.nan as usize);
            assert_eq!(got, (kept, changed, nan), "{what}, prune {prune}: kept, changed, NaN");
            // That of weights which are zero already stays what it was.
            let threshold = score & 0x7fff_ffff;
            let threshold = if threshold == 0 { before.threshold } else { threshold };
            assert_eq!(state.threshold, threshold, "{what}, prune {prune}");
            first += t.len as usize;
        }
        self.bench.read::<TopkState>(self.state)[0].mode
    }
}

fn below(len: usize, most: u32) -> Vec<u32> {
    Noise::new(len as u64 + u64::from(most)).below(len, most)
}

#[test]
fn every_end_agrees_with_sorting() {
    let Some(gpu) = gpu() else { return };
    let len = 100_003;
    let noise = Noise::new(5).floats(len, 1.0);
    let tie = |count: usize| -> Vec<f32> {
        let place = |i: usize| (i * 7919) % len;
        (0..len).map(|i| if place(i) < count { 0.5 } else { noise[i] * 0.1 }).collect()
    };
    let sorted = |up: bool| -> Vec<f32> {
        (0..len).map(|i| if up { i } else { len - i } as f32 / len as f32).collect()
    };
    let zeros: Vec<f32> = noise.iter().map(|&x| if x.abs() < 0.7 { 0.0 } else { x }).collect();
    let zero = zeros.iter().filter(|&&x| x == 0.0).count();
    let one_bin = below(len, 3).iter().map(|&c| f32::from_bits(0x3f00_0000 + c)).collect();
    let two: Vec<f32> = below(len, 2).iter().map(|&c| [0.3, -0.7][c as usize]).collect();
    let low = two.iter().filter(|&&x| x == 0.3).count();
    let levels: Vec<f32> = noise.iter().map(|x| (x * 15.0).round() / 15.0).collect();
    let every: Vec<f32> = Noise::new(6).words(len).iter().map(|&w| f32::from_bits(w)).collect();
    let (whole, listed, tied) = (TopkState::WHOLE, TopkState::LISTED, TopkState::TIED);
    for (what, values, ends) in [
        (
            "random",
            noise.clone(),
            &[(0, whole), (1, listed), (50_000, listed), (len - 1, listed)][..],
        ),
        ("every bit pattern", every, &[(77, listed), (60_000, listed), (len, whole)]),
        ("equal", vec![-0.25; len], &[(0, whole), (1, tied), (33_333, tied), (len, whole)]),
        ("up", sorted(true), &[(10, listed), (90_000, listed)]),
        ("down", sorted(false), &[(10, listed), (90_000, listed)]),
        ("one bin", one_bin, &[(1, tied), (50_000, tied), (len - 1, tied)]),
        ("two values", two, &[(low - 1, tied), (low, whole), (low + 1, tied)]),
        ("levels", levels, &[(40_000, tied), (90_000, tied)]),
        ("zeros", zeros, &[(zero - 1, tied), (zero, whole), (zero + 1, listed)]),
        ("as many ties as are listed", tie(4096), &[(len - 4000, listed)]),
        ("one tie more", tie(4097), &[(len - 4000, tied)]),
    ] {
        let group = Group::new(gpu, values, &[len], None);
        for &(prune, mode) in ends {
            let end = group.check(prune, what);
            // A bin may happen to end with the last value to prune.
            let happens = mode == listed && end == whole;
            assert!(end == mode || happens, "{what}, prune {prune}: {end}, not {mode}");
        }
    }
}

/// One value and a few, whole words and chunks, and what is left of a vector of four.
#[test]
fn every_length_agrees_with_sorting() {
    let Some(gpu) = gpu() else { return };
    for len in [1, 3, 4, 5, 31, 32, 33, 255, 4095, 4096, 4097, 32_767, 32_768, 32_769, 65_541] {
        for (what, most) in [("equal", 1), ("few", 3), ("many", 1 << 24)] {
            let values = below(len, most).iter().map(|&c| c as f32 * 0.5).collect();
            let group = Group::new(gpu, values, &[len], None);
            for prune in [0, 1, len / 2, len - 1, len] {
                group.check(prune, &format!("{what}, {len}"));
            }
        }
    }
}

/// Ties run on from tensor to tensor, through chunks of each; protected ones rank behind.
#[test]
fn groups_share_a_range() {
    let Some(gpu) = gpu() else { return };
    // All of the second are sampled, and all of the third but some; the fourth has just too many.
    for lens in [&[40_000, 32, 70_016, 5][..], &[1024, 960, 64], &[96, 2048, 7], &[96, 4000, 1]] {
        let len: usize = lens.iter().sum();
        let counts = match len {
            110_053 => vec![0, 1, 39_999, 40_010, 60_000, 100_000, len - 1, len],
            _ => vec![0, 1, lens[0] - 1, lens[0] + 10, len * 9 / 10, len - 1, len],
        };
        for most in [1, 3, 1 << 24] {
            for protected in [false, true] {
                let values: Vec<f32> = below(len, most).iter().map(|&c| c as f32 + 0.5).collect();
                let bits = protected.then(|| Noise::new(9).words(len.div_ceil(32)));
                let group = Group::new(gpu, values, lens, bits);
                for &prune in &counts {
                    group.check(prune, &format!("{lens:?} below {most}, protected: {protected}"));
                }
            }
        }
    }
}

/// The highest rank that there is: a protected NaN with every bit set.
#[test]
fn the_highest_rank_is_pruned_last() {
    let Some(gpu) = gpu() else { return };
    let len = 5000;
    let mut values = Noise::new(1).floats(len, 1.0);
    values[100] = f32::from_bits(0xffff_ffff);
    values[4000] = f32::from_bits(0xffff_ffff);
    let group = Group::new(gpu, values, &[len], Some(vec![u32::MAX; len.div_ceil(32)]));
    for prune in [len - 2, len - 1, len] {
        group.check(prune, "all protected");
    }
}

/// A sample that misleads costs rounds, and nothing else: here the guess is the test's.
#[test]
fn any_guess_leads_to_the_same_mask() {
    let Some(gpu) = gpu() else { return };
    let len = 50_000;
    for most in [7, 1 << 24] {
        let values: Vec<f32> = below(len, most).iter().map(|&c| c as f32 * 1e-3).collect();
        let mut rig = Rig::new(gpu);
        let slot = rig.slot("values", &values);
        let state = rig.output("state", Selection::STATE_WORDS as usize);
        let histogram = rig.slot("histogram", &[0u32; Selection::HISTOGRAM_WORDS as usize]);
        let empty = vec![0u32; Selection::LIST_WORDS as usize];
        let (list, ties) =
            (rig.slot("list", &empty), rig.output("ties", TopkTies::words(len as u32) as usize));
        let mask = rig.slot("mask", &ones(len as u32));
        let mask_state = rig.slot("mask_state", &[MaskState::default()]);
        let (protect, len, first) = (None, len as u32, 0);
        // One workgroup for two chunks.
        let later = Round { picks: true, most: 1 };
        for (round, begins) in [(4, Round::FIRST), (3, later), (2, later), (1, later)] {
            let values = slot;
            rig.push(TopkHistogram { values, protect, state, histogram, round, begins, len });
        }
        let (before, scores, begins) = (None, true, Round { picks: true, most: 1 });
        rig.push(TopkTies { values: slot, protect, state, histogram, ties, before, begins, len });
        rig.push(TopkMask {
            values: slot,
            protect,
            ties,
            state,
            list,
            mask_state,
            mask,
            len,
            first,
        });
        rig.push(TopkSettle {
            values: slot,
            protect,
            ties,
            list,
            state,
            histogram,
            clears: 4,
            mask_state,
            mask,
            scores,
            len,
            first,
        });
        let bench = rig.build();
        let prune = 30_000;
        let want = topk_reference(&values, None, prune as usize);
        let mut ranks: Vec<u32> = values.iter().map(|v| v.to_bits()).collect();
        ranks.sort_unstable();
        let [before, found] = [2, 1].map(|back| ranks[prune as usize - back]);
        for [low, next, high] in [
            [0, 0, u32::MAX],
            [0, 1, u32::MAX],
            [0, u32::MAX, u32::MAX],
            [0, 0, 0],
            [0, 1, found - 1],
            [found, found, found],
            [found, found + 1, u32::MAX],
            [found - 1, found, found],
            // The value before it, in the same bin.
            [before, before, u32::MAX],
            [found + 1, found + 1, found + 1],
            [found + 1, found + 100, u32::MAX],
            [u32::MAX, u32::MAX, u32::MAX],
        ] {
            bench.upload(list, &[0u32, 0]);
            bench.upload(mask_state, &[MaskState::default()]);
            let mut states = [TopkState::default(); 5];
            states[4] = TopkState { low, next, high, prune, ..TopkState::default() };
            bench.upload(state, &states);
            bench.run();
            let mask: Vec<u32> = bench.read(mask);
            Tol::Exact
                .check(&mask, &want)
                .unwrap_or_else(|e| panic!("below {most}, guess {low} {next} {high}: {e}"));
            assert_eq!(bench.read::<MaskState>(mask_state)[0].threshold, found);
        }
    }
}

/// Values that all lie are where the sample looks: its guess is wrong to either side, also of few.
#[test]
fn a_sample_that_misleads_changes_nothing() {
    let Some(gpu) = gpu() else { return };
    for len in [513, 2048, 2049, 4096, 4097, 50_000] {
        let mut rig = Rig::new(gpu);
        // The rank of value i says i.
        let places: Vec<f32> = (0..len).map(f32::from_bits).collect();
        let (values, samples) = (rig.slot("values", &places), Selection::samples(len));
        let state = rig.output("state", Selection::STATE_WORDS as usize);
        let (list, counts) =
            (rig.output("list", Selection::LIST_WORDS as usize), rig.output("counts", 1));
        // With one more of a tensor behind it, so that the sample waits in the list.
        rig.push(TopkSample {
            values,
            protect: None,
            counts,
            state,
            list,
            first: 0,
            count: samples,
            samples: samples + 1,
            total: len + 1,
            selection: 0,
            rounds: 4,
            len,
        });
        let sampled: Vec<u32> = rig.run().read(list);
        let len = len as usize;
        for (inside, outside) in [(1.0, 0.001), (0.001, 1.0)] {
            let mut values: Vec<f32> =
                Noise::new(2).floats(len, 0.1).iter().map(|x| outside * (1.0 + x)).collect();
            sampled[2..2 + samples as usize]
                .iter()
                .for_each(|&i| values[i as usize] *= inside / outside);
            let group = Group::new(gpu, values, &[len], None);
            for prune in [1, len / 100, len / 3, len / 2, len - len / 100, len - 1] {
                group.check(prune, &format!("{len}, sampled {inside}, others {outside}"));
            }
        }
    }
}

/// Nothing grows with the number of values but a word for each 32,768.
#[test]
fn scratch_is_as_said() {
    for lens in [&[1][..], &[4096], &[4097], &[100_000_000], &[300, 40_000, 7]] {
        let mut plan = secateur::gpu::PlanBuilder::default();
        plan.phase("test");
        let [counts, histogram, state] = [1, Selection::HISTOGRAM_WORDS, Selection::STATE_WORDS]
            .map(|words| plan.persistent("slot", words));
        let mut ranked = Vec::new();
        for &len in lens {
            let mut slot = |words| plan.persistent("slot", words);
            let (values, mask_state) = (slot(len), slot(MASK_STATE_WORDS));
            let (mask, protect) = (slot(mask_words(len)), None);
            ranked.push(Ranked { values, protect, scores: true, mask_state, mask, len });
        }
        let selection = Selection { counts, selection: 0, histogram, state };
        selection.push(&mut plan, "values", &ranked).unwrap();
        assert_eq!(plan.memory().unshared, Selection::scratch_bytes(lens), "{lens:?}");
    }
    assert_eq!(Selection::scratch_bytes(&[100_000_000]), 45_000);
}
