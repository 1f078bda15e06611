//! The selection of the lowest weights, bit for bit against sorting.
use secateur::gpu::{Gpu, Slot};
use secateur::kernels::*;
use secateur::prune::pruned_count;

use crate::common::{Bench, Noise, Rig, Tol, gpu};

/// What the weights can look like.
const FAMILIES: [&str; 8] =
    ["random", "equal", "zeros", "signed zeros", "denormals", "infinities", "few values", "nan"];

fn weights(family: &str, len: usize) -> Vec<f32> {
    let mut noise = Noise::new(len as u64);
    let random = noise.floats(len, 1.0);
    let choice = noise.below(len, 5);
    let pick = |values: [f32; 5]| choice.iter().map(|&c| values[c as usize]).collect();
    match family {
        "random" => random,
        "equal" => vec![-0.25; len],
        "zeros" => vec![0.0; len],
        "signed zeros" => pick([0.0, -0.0, -0.0, 1e-3, -1e-3]),
        "denormals" => choice.iter().map(|&c| f32::from_bits(c | c << 31)).collect(),
        "infinities" => pick([f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1.0, -0.0]),
        "few values" => pick([0.5, -0.5, 0.25, -2.0, 0.50000006]),
        "nan" => {
            let values = pick([f32::NAN, 0.0, -1.0, 1.0, f32::INFINITY]);
            values.iter().zip(random).map(|(v, r)| if *v == 1.0 { r } else { *v }).collect()
        }
        other => panic!("no family {other}"),
    }
}

/// One selection, built once and run over many weights and counts.
struct Picker<'a> {
    bench: Bench<'a>,
    selection: Selection,
    tensor: Ranked,
}

impl<'a> Picker<'a> {
    fn new(gpu: &'a Gpu, len: usize) -> Self {
        let mut rig = Rig::new(gpu);
        let mut slot = |name, words| -> Slot { rig.output(name, words) };
        let words = mask_words(len as u32) as usize;
        let (values, counts, mask) = (slot("values", len), slot("counts", 3), slot("mask", words));
        let state = slot("state", Selection::STATE_WORDS as usize);
        let mask_state = slot("mask_state", MASK_STATE_WORDS as usize);
        let histogram = rig.slot("histogram", &[0u32; Selection::HISTOGRAM_WORDS as usize]);
        let tensor =
            Ranked { values, protect: None, scores: true, mask_state, mask, len: len as u32 };
        let selection = Selection { counts, selection: 1, histogram, state };
        rig.push(MaskBegin { mask_state, keep_nan: false });
        selection.push(&mut rig.plan, "values", &[tensor]).unwrap_or_else(|e| panic!("{e}"));
        Self { bench: rig.build(), selection, tensor }
    }

    fn run(&self, prune: usize) -> (Vec<u32>, MaskState) {
        // What an earlier selection has left matters to none.
        self.bench.upload(self.selection.state, &[u32::MAX; Selection::STATE_WORDS as usize]);
        self.bench.upload(self.tensor.mask_state, &[MaskState::default()]);
        let before = ones(self.tensor.len);
        self.bench.upload(self.tensor.mask, &before);
        let counts = [u32::MAX, prune as u32, u32::MAX];
        self.bench.upload(self.selection.counts, &counts);
        self.bench.run();
        let histogram: Vec<u32> = self.bench.read(self.selection.histogram);
        assert!(histogram.iter().all(|&count| count == 0), "the histogram is left zero");
        let read = |slot| self.bench.read(slot);
        let mask_state: Vec<MaskState> = self.bench.read(self.tensor.mask_state);
        (read(self.tensor.mask), mask_state[0])
    }
}

/// What a selection leaves behind: the mask's state from the definition of each field.
fn state_reference(weights: &[f32], mask: &[u32]) -> MaskState {
    let score = |i: usize| weights[i].abs().to_bits();
    let pruned = || (0..weights.len()).filter(|&i| !bit(mask, i));
    let highest = pruned().map(score).max().unwrap_or(0);
    let count = |keep: bool, at: &dyn Fn(usize) -> bool| {
        (0..weights.len()).filter(|&i| bit(mask, i) == keep && at(i)).count() as u32
    };
    MaskState {
        kept: count(true, &|_| true),
        nan: weights.iter().filter(|w| w.is_nan()).count() as u32,
        changed: count(false, &|_| true),
        threshold: highest,
    }
}

fn counts(len: usize) -> [usize; 6] {
    [0, 1, len / 2, (len as f64 * 0.9).round() as usize, len - 1, len]
}

fn selects(gpu: &Gpu, len: usize, families: &[&str], counts: &[usize]) {
    let picker = Picker::new(gpu, len);
    for family in families {
        let weights = weights(family, len);
        // The 0 after the end would be the first to go, if anything counted it.
        picker.bench.upload(picker.tensor.values, &[&weights[..], &[0.0]].concat());
        for &prune in counts {
            let context = |e| panic!("{len} {family}, prune {prune}: {e}");
            let want = topk_reference(&weights, None, prune);
            let (mask, mask_state) = picker.run(prune);
            Tol::Exact.check(&mask, &want).unwrap_or_else(context);
            assert_eq!(
                mask_state,
                state_reference(&weights, &want),
                "{len} {family}, prune {prune}"
            );
            assert_eq!(mask_state.kept as usize, len - prune);
        }
    }
}

#[test]
fn small_tensors_agree_with_sorting() {
    let Some(gpu) = gpu() else { return };
    for len in [1, 2, 31, 33, 1000, 8191, 8192, 8193] {
        selects(gpu, len, &FAMILIES, &counts(len));
    }
}

#[test]
fn large_tensors_agree_with_sorting() {
    let Some(gpu) = gpu() else { return };
    let [none, one, half, most, all_but_one, all] = counts(100_003);
    selects(gpu, 100_003, &FAMILIES, &[half, most]);
    selects(gpu, 100_003, &["random", "few values"], &[none, one, all_but_one, all]);
    let [_, one, half, most, ..] = counts(1_000_000);
    selects(gpu, 1_000_000, &["random"], &[one, most]);
    selects(gpu, 1_000_000, &["equal", "few values"], &[half, most]);
}

/// More than 256 chunks: an invocation of `topk_mask` adds up several for the last one, of whose
/// ties some stay.
#[test]
fn ties_are_numbered_over_many_chunks() {
    let Some(gpu) = gpu() else { return };
    selects(gpu, 32_768 * 257 + 7, &["equal"], &[3]);
}

#[test]
fn a_selection_repeats() {
    let Some(gpu) = gpu() else { return };
    let picker = Picker::new(gpu, 8193);
    picker.bench.upload(picker.tensor.values, &weights("few values", 8193));
    let first = picker.run(5000);
    picker.run(17);
    assert_eq!(picker.run(5000), first);
}

/// Protected values go last, yet by score among themselves: the count is exact either way.
#[test]
fn protected_values_go_last() {
    let Some(gpu) = gpu() else { return };
    for (len, family) in [(33, "few values"), (8193, "random"), (70_001, "infinities")] {
        let values = weights(family, len);
        let bits = Noise::new(7).words(len.div_ceil(32));
        let mut rig = Rig::new(gpu);
        let protect = Some(rig.slot("protect", &bits));
        let slot = rig.slot("values", &values);
        let (tensor, selection) = picker_slots(&mut rig, slot, protect, len);
        rig.push(MaskBegin { mask_state: tensor.mask_state, keep_nan: false });
        selection.push(&mut rig.plan, "values", &[tensor]).unwrap();
        let bench = rig.build();
        for prune in counts(len) {
            bench.upload(selection.counts, &[prune as u32]);
            bench.run();
            let mask: Vec<u32> = bench.read(tensor.mask);
            let want = topk_reference(&values, Some(&bits), prune);
            Tol::Exact.check(&mask, &want).unwrap_or_else(|e| panic!("{len}, prune {prune}: {e}"));
        }
    }
}

/// One ranking over several tensors is the ranking of all of them one after the other, ties
/// included.
#[test]
fn a_group_is_ranked_as_one_tensor() {
    let Some(gpu) = gpu() else { return };
    for (lens, family) in [
        (&[33, 1, 8193][..], "few values"),
        (&[31, 20_000, 2, 9_000], "random"),
        (&[8192, 8192], "equal"),
        (&[5, 40_000], "signed zeros"),
    ] {
        let values: Vec<Vec<f32>> = lens.iter().map(|&len| weights(family, len)).collect();
        let mut rig = Rig::new(gpu);
        let mut selection = None;
        let mut tensors = Vec::new();
        for (values, &len) in values.iter().zip(lens) {
            let slot = rig.slot("values", values);
            let (tensor, own) = match selection {
                None => picker_slots(&mut rig, slot, None, len),
                Some(shared) => (ranked(&mut rig, slot, None, len), shared),
            };
            selection = Some(own);
            rig.push(MaskBegin { mask_state: tensor.mask_state, keep_nan: false });
            tensors.push(tensor);
        }
        let selection = selection.unwrap();
        selection.push(&mut rig.plan, "values", &tensors).unwrap();
        let bench = rig.build();
        let all = values.concat();
        for prune in counts(all.len()) {
            bench.upload(selection.counts, &[prune as u32]);
            bench.run();
            let want = topk_reference(&all, None, prune);
            let mut first = 0;
            for (tensor, &len) in tensors.iter().zip(lens) {
                let mask: Vec<u32> = bench.read(tensor.mask);
                let state: Vec<MaskState> = bench.read(tensor.mask_state);
                let kept = (0..len).filter(|&i| bit(&want, first + i)).count();
                let differ = (0..len).position(|i| bit(&mask, i) != bit(&want, first + i));
                assert_eq!(differ, None, "{lens:?} {family}, prune {prune}");
                assert_eq!(state[0].kept as usize, kept, "{lens:?} {family}, prune {prune}");
                first += len;
            }
        }
    }
}

fn ranked(rig: &mut Rig<'_>, values: Slot, protect: Option<Slot>, len: usize) -> Ranked {
    let mask = rig.slot("mask", &ones(len as u32));
    let mask_state = rig.slot("mask_state", &[MaskState::default()]);
    Ranked { values, protect, scores: true, mask_state, mask, len: len as u32 }
}

fn picker_slots(
    rig: &mut Rig<'_>,
    values: Slot,
    protect: Option<Slot>,
    len: usize,
) -> (Ranked, Selection) {
    let histogram = rig.slot("histogram", &[0u32; Selection::HISTOGRAM_WORDS as usize]);
    let state = rig.output("state", Selection::STATE_WORDS as usize);
    let counts = rig.output("counts", 1);
    let tensor = ranked(rig, values, protect, len);
    (tensor, Selection { counts, selection: 0, histogram, state })
}

const SPARSITIES: [f64; 6] = [0.0, 0.001, 0.5, 0.9, 0.999, 1.0];

#[test]
fn the_count_is_exact_at_every_sparsity() {
    let Some(gpu) = gpu() else { return };
    for len in [1, 2, 31, 33, 1000] {
        let counts = SPARSITIES.map(|s| pruned_count(len as u64, s) as usize);
        selects(gpu, len, &FAMILIES, &counts);
    }
}

/// Too long to sort for every count: the number of bits, and that no pruned score is above a kept
/// one.
#[test]
fn the_count_is_exact_at_ten_million() {
    let Some(gpu) = gpu() else { return };
    for len in [1_000_000, 10_000_000] {
        let picker = Picker::new(gpu, len);
        for family in ["random", "few values", "denormals"] {
            let weights = weights(family, len);
            picker.bench.upload(picker.tensor.values, &weights);
            for sparsity in SPARSITIES {
                let prune = pruned_count(len as u64, sparsity) as usize;
                let (mask, state) = picker.run(prune);
                assert_eq!(state.kept as usize, len - prune, "{len} {family} at {sparsity}");
                let kept: usize = mask.iter().map(|w| w.count_ones() as usize).sum();
                assert_eq!(kept, len - prune, "{len} {family} at {sparsity}");
                let (mask, weights) = (&mask, &weights);
                let scores = |keep| {
                    let of = move |i: &usize| bit(mask, *i) == keep;
                    (0..len).filter(of).map(move |i| weights[i].abs().to_bits())
                };
                let (kept, pruned) = (scores(true).min(), scores(false).max());
                let in_order = kept.is_none_or(|kept| pruned.is_none_or(|pruned| pruned <= kept));
                assert!(in_order, "{len} {family} at {sparsity}: {pruned:?} above {kept:?}");
            }
        }
    }
}
