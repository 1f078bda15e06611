//! Whole mask updates against the host: what is dropped, what grows.
mod vectors;

use secateur::gpu::{Gpu, PlanBuilder, Slot};
use secateur::graph::{Graph, Shape, Stored, Weight};
use secateur::kernels::*;
use secateur::prune::{
    MaskUpdate, PrunedTensor, PruningSpec, Regrow, Score, Targets, pruned_count,
};

use crate::common::{Bench, Noise, Rig, Tol, gpu};
use crate::kernels::mask_of;

const SHAPES: [[u32; 2]; 3] = [[33, 7], [300, 100], [31, 1]];

struct Host {
    weights: Vec<f32>,
    gradient: Vec<f32>,
    mask: Vec<u32>,
    units: usize,
    layout: Layout,
}

impl Host {
    /// A tensor of which `mask` is left already.
    fn new([rows, columns]: [u32; 2], sparsity: f64, seed: u64) -> Self {
        let len = (rows * columns) as usize;
        let mut noise = Noise::new(seed);
        let (weights, gradient) = (noise.floats(len, 1.0), noise.floats(len, 1.0));
        let mask = topk_reference(&weights, None, pruned_count(len as u64, sparsity) as usize);
        let weights = apply_mask_reference(&mask, &weights);
        let (units, layout) = (columns as usize, Layout::InOut);
        Self { weights, gradient, mask, units, layout }
    }

    /// The same weights `[units, inputs]`.
    fn turned(&self) -> Self {
        Self {
            weights: outputs_first(&self.weights, self.units),
            gradient: outputs_first(&self.gradient, self.units),
            mask: mask_of(&self.mask, self.weights.len(), self.units),
            units: self.units,
            layout: Layout::OutIn,
        }
    }

    fn score_slots(&self, score: &Score) -> Vec<(&'static str, Vec<f32>)> {
        let slots = score.scoring().slots(self.weights.len() as u32, self.units as u32).into_iter();
        let values = |(seed, (name, words)): (u64, (&'static str, u32))| {
            let values = Noise::new(seed).floats(words as usize, 0.5).into_iter();
            let signed = matches!(name, "movement" | "old_weights");
            (name, values.map(|v| if signed { v } else { v.abs() }).collect())
        };
        (7..).zip(slots).map(values).collect()
    }

    /// One f32 product each, as the device has it.
    fn scores(&self, score: &Score) -> Vec<f32> {
        let products = self.weights.iter().zip(&self.gradient);
        match score {
            Score::Magnitude => self.weights.iter().map(|w| w.abs()).collect(),
            Score::Saliency => products.map(|(w, g)| (w * g).abs()).collect(),
            other => panic!("{other:?} has a test of its own"),
        }
    }
}

/// RigL and SET: of the weights that are to stay, all but the exchanged ones stay by score; the
/// rest grows by |gradient| or at random among all others.
#[test]
fn weights_drop_by_score_and_grow_again() {
    let Some(gpu) = gpu() else { return };
    for regrow in ["rigl", "set"] {
        for score in ["magnitude", "saliency"] {
            let text = format!("regrow={regrow},score={score}");
            drops_and_grows(gpu, &format!("{text},end_pruning_step=100,target_sparsity=0.8"));
        }
    }
}

/// The update of `text` on these tensors, to `total` after step 50, done.
struct Done<'a> {
    spec: PruningSpec,
    bench: Bench<'a>,
    tensors: Vec<PrunedTensor>,
    words: Vec<u32>,
    asked: f64,
}

fn update<'a>(gpu: &'a Gpu, text: &str, hosts: &[Host], total: f64) -> Done<'a> {
    let spec: PruningSpec = text.parse().unwrap();
    spec.validate().unwrap();
    let mut graph = Graph::default();
    for (i, host) in hosts.iter().enumerate() {
        let columns = host.units as u32;
        let rows = host.weights.len() as u32 / columns;
        // To a pruning a convolution's kernel is a matrix.
        let shape = match (host.layout, rows % 4) {
            (Layout::OutIn, _) => Shape::new([columns, rows]),
            (Layout::InOut, 0) => Shape::new([2, 2, rows / 4, columns]),
            (Layout::InOut, _) => Shape::new([rows, columns]),
        };
        let weight = graph.parameter(format!("fc{i}.weight"), shape).unwrap();
        if host.layout == Layout::OutIn {
            graph.outputs_first(weight).unwrap();
        }
        graph.apply_mask(weight).unwrap();
    }
    let targets = Targets::new(&spec, graph.parameters()).unwrap();
    let mut rig = Rig::new(gpu);
    let mut tensors = Vec::new();
    for (i, host) in hosts.iter().enumerate() {
        let len = host.weights.len() as u32;
        let velocity = vec![1.0f32; host.weights.len()];
        let values = rig.slot("weights", &host.weights);
        let gradient = rig.slot("gradient", &host.gradient);
        let stored = Stored::pruned(values, rig.slot("mask", &host.mask), spec.pruned);
        let score_slots = score_slots(&mut rig, &spec, host);
        let state = rig.slot("state", &[MaskState::default()]);
        let energy = rig.slot("energy", &[f32::NAN; 2]);
        let slots = vec![("velocity", rig.slot("velocity", &velocity))];
        let (inputs, units) = (len / host.units as u32, host.units as u32);
        let shape = match host.layout {
            Layout::InOut => Shape::new([inputs, units]),
            Layout::OutIn => Shape::new([units, inputs]),
        };
        let mut weight = Weight::new(format!("fc{i}.weight"), shape, stored).with_slots(slots);
        weight.layout = host.layout;
        let mut tensor = PrunedTensor::new(weight, state, energy).unwrap();
        (tensor.gradient, tensor.score_slots) = (Some(gradient), score_slots);
        tensors.push(tensor);
    }
    let update = MaskUpdate::push(&mut rig.plan, &spec, targets, &tensors).unwrap();
    let bench = rig.build();
    let (words, asked) = (update.words(50, total), update.asked(total));
    bench.upload(update.counts(), &words);
    bench.run();
    Done { spec, bench, tensors, words, asked }
}

/// The score's tensors with numbers in them; where it takes sums of squares or a running mean of
/// magnitudes, none is negative.
fn score_slots(rig: &mut Rig, spec: &PruningSpec, host: &Host) -> Vec<Slot> {
    let slots = host.score_slots(&spec.score).into_iter();
    slots.map(|(name, values)| rig.slot(name, &values)).collect()
}

/// A weight that is NaN has no rank: whatever the pattern, it is counted, and the run ends by it.
#[test]
fn nan_is_counted_in_every_pattern() {
    let Some(gpu) = gpu() else { return };
    for text in [
        "",
        "keep_units=false",
        "scope=global",
        "threshold=histogram",
        "block_height=4,block_width=2",
        "block_height=4,block_pooling_function=max",
        "block_width=2,threshold=histogram",
        "pattern=2:4",
        "pattern=16:32x3",
        "scope=unit",
        "regrow=set,end_pruning_step=100",
        "score=saliency",
        "score=first_order_gradient",
        "score=second_order_gradient,block_width=2",
        "score=wanda",
    ] {
        // N:M leaves inputs dense that M does not divide: here those of a pixel of 2x2.
        let [first, second] = if text == "pattern=2:4" { [48, 32] } else { [33, 31] };
        let mut host = Host::new([first, 7], 0.0, 5);
        host.weights[100] = f32::NAN;
        let hosts = [host, Host::new([second, 3], 0.0, 6)];
        let done = update(gpu, text, &hosts, 0.5);
        let nan = |i: usize| done.bench.read::<MaskState>(done.tensors[i].state)[0].nan;
        assert!(nan(0) > 0 && nan(1) == 0, "{text}: {} and {}", nan(0), nan(1));
    }
}

fn drops_and_grows(gpu: &Gpu, text: &str) {
    let hosts: Vec<Host> = (1..).zip(SHAPES).map(|(i, s)| Host::new(s, 0.75, i)).collect();
    let Done { spec, bench, tensors, words, .. } = update(gpu, text, &hosts, 0.8);

    // What grows at random grows at other places in each tensor.
    let seeds = &words[6..];
    assert!((1..seeds.len()).all(|i| !seeds[..i].contains(&seeds[i])), "{seeds:?}");
    // Half way the cosine leaves half of 0.3.
    assert!((spec.regrow_fraction_at(50) - 0.15).abs() < 1e-12);
    for (i, (host, tensor)) in hosts.iter().zip(&tensors).enumerate() {
        let len = host.weights.len() as u64;
        let prune = pruned_count(len, 0.8);
        let exchanged = pruned_count(len - prune, 0.15);
        assert!(exchanged > 0 || len < 40);
        let dropped = (prune + exchanged) as usize;
        let scores = host.scores(&spec.score);
        let floor = unit_floor_reference(&unit_peak_reference(&scores, host.units), scores.len());
        let kept = topk_reference(&scores, Some(&floor), dropped);
        // Behind two counts for each of three tensors.
        let grown = match spec.regrow {
            Regrow::Set => random_score_reference(words[6 + i], tensor.len()),
            _ => host.gradient.clone(),
        };
        let want = topk_reference(&grown, Some(&kept), prune as usize);
        let got: Vec<u32> = bench.read(tensor.mask());
        Tol::Exact.check(&got, &want).unwrap_or_else(|e| panic!("{text}, {}: {e}", tensor.name()));

        let state = bench.read::<MaskState>(tensor.state)[0];
        assert_eq!(u64::from(state.kept), len - prune);
        let changed: u32 =
            want.iter().zip(&host.mask).map(|(new, old)| (new ^ old).count_ones()).sum();
        assert_eq!(state.changed, changed);
        // Of what is dropped, not of what grows.
        let highest = (0..host.weights.len()).filter(|&i| !bit(&kept, i));
        let highest = highest.map(|i| scores[i]).fold(0.0, f32::max);
        assert_eq!(f32::from_bits(state.threshold), highest);
        // What grows starts from 0, and nothing pruned keeps anything.
        let weights: Vec<f32> = bench.read(tensor.weights());
        let velocity: Vec<f32> = bench.read(tensor.weight.slots[0].1);
        assert_eq!(weights, apply_mask_reference(&want, &host.weights));
        assert_eq!(velocity, apply_mask_reference(&want, &vec![1.0; host.weights.len()]));
        let grown = (0..host.weights.len()).find(|&i| bit(&want, i) && !bit(&host.mask, i));
        assert!(grown.is_none_or(|i| weights[i] == 0.0), "{}", tensor.name());
    }
}

/// In f64: what ranks each weight, or each block by its pooled factors.
fn ranking(host: &Host, spec: &PruningSpec, blocks: Blocks) -> Vec<f64> {
    let slots: Vec<Vec<f32>> =
        host.score_slots(&spec.score).into_iter().map(|(_, values)| values).collect();
    let pool = |values: &[f64]| -> Vec<f64> {
        let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        signed_block_pool_reference(&values, blocks, spec.block_pooling_function)
    };
    let magnitudes: Vec<f64> = host.weights.iter().map(|&w| f64::from(w.abs())).collect();
    match &spec.score {
        Score::Movement => pool(&slots[0].iter().map(|&m| f64::from(m)).collect::<Vec<_>>()),
        Score::FirstOrderGradient | Score::SecondOrderGradient => {
            let d = change_norm_reference(&host.weights, &slots[0], spec.pruned == Pruned::Zero);
            let total = d.iter().map(|d| d * d).sum();
            let rate = spec.gradient_decay_rate as f32;
            let change = change_reference(&d, total, &slots[1], rate);
            pool(&magnitudes).iter().zip(pool(&change)).map(|(w, g)| w * g).collect()
        }
        Score::Wanda => pool(&wanda_reference(&host.weights, &slots[0])),
        other => panic!("{other:?} is above"),
    }
}

/// A weight that has its outputs first loses the same weights, whatever the pattern.
#[test]
fn outputs_first_lose_the_same_weights() {
    let Some(gpu) = gpu() else { return };
    for (text, sparsity) in [
        ("score=wanda,pattern=2:4,target_sparsity=0.5", 0.5),
        ("score=wanda,pattern=8:32x4,target_sparsity=0.75", 0.75),
        ("score=wanda,scope=unit", 0.6),
        ("score=wanda,scope=global", 0.8),
        ("score=magnitude,keep_units=true", 0.95),
        ("score=saliency,pattern=channel,last_layer_sparsity=0.4", 0.4),
    ] {
        let hosts = [Host::new([48, 7], 0.0, 5), Host::new([96, 13], 0.0, 6)];
        let turned = hosts.each_ref().map(Host::turned);
        let masks = |hosts: &[Host]| {
            let done = update(gpu, text, hosts, sparsity);
            done.tensors.iter().map(|t| done.bench.read::<u32>(t.mask())).collect::<Vec<_>>()
        };
        let (stand, turned) = (masks(&hosts), masks(&turned));
        for ((host, stand), turned) in hosts.iter().zip(stand).zip(turned) {
            let len = host.weights.len();
            assert_eq!(mask_of(&stand, len, host.units), turned, "{text}");
            let kept = |mask: &[u32]| mask.iter().map(|w| w.count_ones() as usize).sum::<usize>();
            assert!((1..len).contains(&kept(&turned)), "{text}");
        }
    }
}

/// What is pruned ranks below what stays, in exact numbers; and the running means have moved on.
#[test]
fn scores_with_a_memory_rank_as_they_say() {
    let Some(gpu) = gpu() else { return };
    let scores = ["movement", "first_order_gradient", "second_order_gradient", "wanda"];
    let shapes = [([1, 1], "freeze"), ([4, 3], "freeze"), ([1, 1], "zero")];
    for (score, ([height, width], mode)) in
        scores.into_iter().flat_map(|s| shapes.map(|shape| (s, shape)))
    {
        let text = format!(
            "score={score},block_height={height},block_width={width},keep_units=false,\
             gradient_decay_rate=0.5,pruned={mode}"
        );
        let hosts = [Host::new([33, 7], 0.3, 5), Host::new([300, 100], 0.3, 6)];
        let Done { spec, bench, tensors, .. } = update(gpu, &text, &hosts, 0.6);
        for (host, tensor) in hosts.iter().zip(&tensors) {
            let (rows, columns) = (tensor.len() / tensor.units(), tensor.units());
            let blocks = Blocks { rows, columns, height, width };
            let rank = ranking(host, &spec, blocks);
            let mask: Vec<u32> = bench.read(tensor.mask());
            let first = |b: usize| {
                let (across, b) = (columns.div_ceil(width), b as u32);
                (b / across * height * columns + b % across * width) as usize
            };
            let (mut highest, mut lowest, mut pruned) = (f64::MIN, f64::MAX, 0);
            for (b, &rank) in rank.iter().enumerate() {
                if bit(&mask, first(b)) {
                    lowest = lowest.min(rank);
                } else {
                    (highest, pruned) = (highest.max(rank), pruned + 1);
                }
            }
            let context = format!("{text}: {}", tensor.name());
            assert_eq!(pruned, pruned_count(rank.len() as u64, 0.6), "{context}");
            // Kernels and pools round; two ranks that near each other may change places.
            let near = 1e-5 * highest.abs().max(lowest.abs());
            assert!(highest <= lowest + near, "{context}: {highest} and {lowest}");
            let state = bench.read::<MaskState>(tensor.state)[0];
            let threshold = f64::from(spec.score.scoring().threshold(state.threshold));
            assert!((threshold - highest).abs() <= near, "{context}: {threshold}, {highest}");

            let [left, all]: [f32; 2] = bench.read(tensor.energy).try_into().unwrap();
            let [want_left, want_all] = kept_energy_reference(&host.weights, &mask);
            let share = f64::from(left) / f64::from(all);
            assert!((share - want_left / want_all).abs() < 1e-5 && share > 0.05, "{context}");
            if score.ends_with("gradient") {
                let history: Vec<f32> = bench.read(tensor.score_slots[0]);
                assert_eq!(history[..host.weights.len()], host.weights, "{context}");
            }
        }
    }
}

/// A tensor without what its score keeps is refused by name.
#[test]
fn a_score_without_its_tensors_is_an_error() {
    let spec: PruningSpec = "score=wanda".parse().unwrap();
    let mut graph = Graph::default();
    let weight = graph.parameter("fc.weight", [4, 3]).unwrap();
    graph.apply_mask(weight).unwrap();
    let targets = Targets::new(&spec, graph.parameters()).unwrap();
    let mut plan = PlanBuilder::default();
    let mut slot = |name: &str, words| plan.persistent(name, words);
    let stored = Stored::pruned(slot("weights", 12), slot("mask", 1), spec.pruned);
    let weight = Weight::new("fc.weight", Shape::new([4, 3]), stored);
    let (state, energy) = (slot("state", MASK_STATE_WORDS), slot("energy", 2));
    let bare = Weight::new("fc.weight", Shape::new([4, 3]), weight.values().unwrap());
    let error = PrunedTensor::new(bare, state, energy).unwrap_err().to_string();
    assert!(error.contains("fc.weight") && error.contains("without a mask"), "{error}");
    let tensor = PrunedTensor::new(weight, state, energy).unwrap();
    plan.phase("mask_update");
    let mut push = |tensors: &[PrunedTensor]| {
        MaskUpdate::push(&mut plan, &spec, targets.clone(), tensors).unwrap_err().to_string()
    };
    let error = push(&[tensor]);
    assert!(error.contains("fc.weight") && error.contains("0 tensors"), "{error}");
    let error = push(&[]);
    assert!(error.contains("0 are given, the specification prunes 1"), "{error}");
}
