//! What runs take on a device, from their plans: recomputed activations, and masks.
use secateur::data::Task;
use secateur::gpu::{PlanBuilder, Target};
use secateur::graph::{AttentionOptions, Bindings, Graph, Mode, gradients, lower};
use secateur::kernels::{Activation, Pruned, RunningMean, STEP_WORDS, Selection, mask_words};
use secateur::nn::layers::{BatchNorm, Conv, Dropout, Flatten, GlobalMeanPool, Linear};
use secateur::nn::{Ends, Input, Model, Network};
use secateur::optim::Optimizer;
use secateur::prune::{MaskUpdateOp, Pruning};

fn text() -> Input {
    Input { shape: vec![64], task: Task::Classification { classes: 65, positions: 64 } }
}

fn op(spec: &str) -> MaskUpdateOp {
    match spec {
        "" => MaskUpdateOp::none(),
        spec => Pruning::new(spec.parse().unwrap()).unwrap().conditional_mask_update_op(),
    }
}

fn planned(network: &Network, spec: &str) -> PlanBuilder {
    let adam = Optimizer::adam(0.001);
    secateur::session::plan(network, adam, &op(spec), Target::default()).unwrap()
}

/// The plan with segments of `layers` layers.
fn recomputing(network: &Network, layers: usize, spec: &str) -> PlanBuilder {
    let mut network = network.clone();
    network.graph.recompute(layers).unwrap();
    planned(&network, spec)
}

/// Launches of `phase`, one a line.
fn launches(plan: &PlanBuilder, phase: &str) -> Vec<String> {
    let text = plan.to_string();
    let lines = text.lines().skip_while(|l| *l != format!("{phase}:")).skip(1);
    let lines: Vec<_> = lines.take_while(|l| l.starts_with("  ")).map(str::to_owned).collect();
    assert!(!lines.is_empty(), "no phase {phase} in {text}");
    lines
}

/// Launches that write what had been computed before.
fn recomputed(plan: &PlanBuilder, phase: &str) -> usize {
    let writes =
        |l: &&String| l.split(' ').any(|w| w.starts_with("->") && w.contains("=recomputed/"));
    launches(plan, phase).iter().filter(writes).count()
}

/// Scratch without and with, and how many launches that costs: two rows of docs/training.md. The sums
/// of split products are in both.
#[test]
fn deep_networks_take_a_fraction_of_the_scratch() {
    let gpt = Model::CharGpt { width: 64, blocks: 8, heads: 4 }.network(32, &text()).unwrap();
    let mlp = Model::mlp(&[64; 16]).network(1024, &Input::flat(64, 10)).unwrap();
    for (network, layers, at_least, more) in [(gpt, 2, 4.2, 96), (mlp, 4, 1.7, 9)] {
        let [kept, again] = [0, layers].map(|layers| recomputing(&network, layers, ""));
        let [before, after] = [&kept, &again].map(PlanBuilder::memory);
        let factor = before.scratch as f64 / after.scratch as f64;
        let name = &network.name;
        println!("{name}: {before:?}, in segments of {layers}: {after:?}: 1/{factor:.2}");
        assert!(factor > at_least, "{name}: {factor}");
        assert_eq!(
            (before.persistent, before.staging + 256 * more),
            (after.persistent, after.staging)
        );
        assert_eq!([&kept, &again].map(|plan| recomputed(plan, "train")), [0, more as usize]);
        let counts = [&kept, &again].map(|plan| launches(plan, "train").len());
        assert_eq!(counts[1] - counts[0], more as usize, "nothing else is launched");
        assert_eq!(launches(&kept, "evaluate").len(), launches(&again, "evaluate").len());
        assert_eq!(recomputed(&again, "evaluate"), 0);
    }
}

/// Of 8 layers in segments of 3, counted from the last: 3 are kept, and of each other segment what
/// its last hands on.
#[test]
fn a_segment_hands_on_its_last_layer() {
    let network = Model::mlp(&[8; 7]).network(4, &Input::flat(8, 3)).unwrap();
    assert_eq!(network.graph.layers(), 8);
    let plan = recomputing(&network, 3, "");
    let names: Vec<String> = launches(&plan, "train")
        .iter()
        .flat_map(|l| l.split(' '))
        .filter_map(|word| word.strip_prefix("->c=recomputed/")?.split('@').next())
        .map(str::to_owned)
        .collect();
    // fc6, fc7, fc8 | fc3, fc4, fc5 | fc1, fc2.
    assert_eq!(names, ["fc3", "fc4", "fc1"]);
}

/// Statistics move once, moments are kept, and random numbers are drawn from the same stream.
#[test]
fn what_happens_once_a_step_is_not_repeated() {
    let layers = vec![
        Conv::new(4, 3).into(),
        BatchNorm::default().into(),
        Dropout::new(0.3).into(),
        Conv::new(4, 3).into(),
        GlobalMeanPool {}.into(),
        Linear::new(9).into(),
        Linear::logits().into(),
    ];
    let input = Input { shape: vec![6, 6, 2], task: Task::classification(3) };
    let network = Model::Layers(layers).network(4, &input).unwrap();
    let counts = |layers, phase: &str| {
        let plan = recomputing(&network, layers, "target_sparsity=0.5,score=saliency");
        let launches = launches(&plan, phase);
        let count =
            |kernel: &str| launches.iter().filter(|l| l.trim_start().starts_with(kernel)).count();
        ["moving_average ", "moments ", "batch_normalise ", "dropout "].map(count)
    };
    // The gradient of dropout is dropout.
    assert_eq!(counts(0, "train"), [1, 1, 1, 2]);
    assert_eq!(counts(3, "train"), [1, 1, 2, 3]);
    assert_eq!(counts(3, "calibrate"), [0, 1, 2, 3]);
    assert_eq!(counts(3, "evaluate"), counts(0, "evaluate"));
}

/// Wanda measures each input once, whether or not it is computed again.
#[test]
fn scores_see_the_forward_pass_only() {
    let network = Model::mlp(&[8; 7]).network(4, &Input::flat(8, 3)).unwrap();
    let measured = |layers| {
        let plan = recomputing(&network, layers, "target_sparsity=0.5,score=wanda");
        launches(&plan, "train").iter().filter(|l| l.contains("input_norm")).count()
    };
    assert_eq!([0, 3].map(measured), [8, 8]);
}

#[test]
fn a_network_without_enough_layers_is_refused() {
    let mut graph = Graph::default();
    let message = |graph: &mut Graph, layers| graph.recompute(layers).unwrap_err().to_string();
    graph.recompute(0).unwrap();
    let want = "`recompute`: 1 layers a segment leave nothing to compute again in a network of 0; \
                leave it out, or mark more layers by Graph::end_layer";
    assert_eq!(message(&mut graph, 1), want);
    graph.end_layer();
    assert_eq!(graph.layers(), 0, "a layer has nodes");
    let mut network = Model::mlp(&[8, 8]).network(4, &Input::flat(8, 3)).unwrap();
    network.graph.recompute(2).unwrap();
    let want = "`recompute`: 3 layers a segment leave nothing to compute again in a network of 3; \
                use 1 to 2, or 0 for none";
    assert_eq!(message(&mut network.graph, 3), want);
}

/// A layer that computes nothing is none.
#[test]
fn layers_are_counted_by_what_they_add() {
    let layers = vec![Flatten {}.into(), Linear::new(4).into(), Linear::logits().into()];
    let network = Model::Layers(layers).network(4, &Input::flat(8, 3)).unwrap();
    assert_eq!(network.graph.layers(), 2);
}

/// One bit a weight, in whole words; the selection's histograms; a state of a few words a tensor;
/// and up to 1 KiB before a mask that an optimizer binds with others. Of scratch the list of a
/// selection lies where the gradients were, which are one buffer, and the rest beside it.
#[test]
fn masks_are_bits() {
    const HISTOGRAMS: u64 = 4 * 4 * 2_051;
    assert_eq!(HISTOGRAMS, 4 * u64::from(Selection::HISTOGRAM_WORDS));
    let mlp = Model::mlp(&[300, 100]);
    for batch in [1, 128] {
        let network = mlp.network(batch, &Input::flat(784, 10)).unwrap();
        let masked = network.graph.parameters().iter().filter(|p| p.masked);
        let weights: Vec<u32> = masked.map(|p| p.shape.elements().unwrap()).collect();
        assert_eq!(weights.iter().sum::<u32>(), 266_200);
        let bits: u64 = weights.iter().map(|&n| 4 * u64::from(mask_words(n))).sum();
        assert!(bits - 266_200 / 8 < 4 * weights.len() as u64, "{bits}");
        let dense = planned(&network, "").memory();
        for mode in [Pruned::Zero, Pruned::Revive, Pruned::Freeze] {
            let mode = serde_json::to_value(mode).unwrap();
            let spec = format!("target_sparsity=0.9,pruned={}", mode.as_str().unwrap());
            let masked = planned(&network, &spec).memory();
            let more = masked.persistent - dense.persistent;
            let scratch = masked.scratch - dense.scratch;
            println!("batch {batch}, {spec}: {more} + {scratch} B more, {bits} of them masks");
            assert!(scratch <= 32 * 1024, "{scratch}");
            assert!(
                (bits..=bits + HISTOGRAMS + (64 + 1024) * weights.len() as u64).contains(&more),
                "{more}"
            );
        }
        // A score that is not a function of the weights keeps one number a weight, which masks do
        // not.
        let saliency = planned(&network, "target_sparsity=0.9,score=saliency").memory();
        assert!(saliency.persistent - dense.persistent > 4 * 266_200, "{saliency:?}");
    }
}

/// A gradient whose mean is kept lives no longer than until it is in there: scratch for the largest
/// of them, not for all.
#[test]
fn gradients_of_which_means_are_kept_leave_at_once() {
    let width = 64;
    let network = Model::mlp(&[width; 8]).network(4, &Input::flat(width as usize, 10)).unwrap();
    let scratch = |means: bool| {
        let mut graph = network.graph.clone();
        let gradients = gradients(&mut graph, network.loss).unwrap();
        let mut plan = PlanBuilder::default();
        let step = plan.persistent("step", STEP_WORDS);
        let mut bindings = Bindings::new(&graph, step);
        let inputs = [network.features, network.answers];
        for t in inputs.into_iter().chain(graph.parameters().iter().map(|p| p.tensor)) {
            bindings.set(t, plan.persistent("home", graph.shape(t).elements().unwrap()));
        }
        let gradients: Vec<_> = gradients.into_iter().flatten().collect();
        let slot = |plan: &mut PlanBuilder, t| {
            let mean = plan.persistent("mean", graph.shape(t).elements().unwrap());
            (t, mean)
        };
        let slots: Vec<_> = gradients.iter().map(|&t| slot(&mut plan, t)).collect();
        if means {
            slots.iter().for_each(|&(t, mean)| bindings.set_mean(t, mean));
        }
        plan.phase("accumulate");
        let found = lower(&graph, &mut plan, &bindings, &gradients, Mode::Train).unwrap();
        if !means {
            for (&(t, mean), x) in slots.iter().zip(found) {
                let len = graph.shape(t).elements().unwrap();
                plan.push(RunningMean { x, step, mean, len }).unwrap();
            }
        }
        plan.memory().scratch
    };
    let [late, early] = [false, true].map(scratch);
    println!("{late} B of scratch with means at the end, {early} B with means at once");
    let weight = u64::from(4 * width * width);
    assert!(late >= 8 * weight && early < 3 * weight, "{late}, {early}");
}

/// A layer of attention over `length` tokens of a vocabulary, whose table makes the logits.
fn language(length: u32, words: u32) -> Network {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(1, length), graph.position_labels(1, length));
    let table = graph.parameter("embed.weight", [words, 64]).unwrap();
    let table = graph.outputs_first(table).unwrap();
    let x = graph.embedding(features, table).unwrap();
    let [q, k, v] = [("q", 64), ("k", 16), ("v", 16)].map(|(name, outputs)| {
        let w = graph.parameter(name, [outputs, 64]).unwrap();
        let w = graph.outputs_first(w).unwrap();
        graph.linear(x, w, None, Activation::Identity).unwrap()
    });
    let options = AttentionOptions::new(4).kv_heads(Some(1)).causal(true);
    let y = graph.attend(&[q, k, v], &options).unwrap();
    let x = graph.add(x, y).unwrap();
    let logits = graph.linear(x, table, None, Activation::Identity).unwrap();
    let loss = graph.softmax_cross_entropy(logits, labels).unwrap();
    let task = Task::Classification { classes: words, positions: length as usize };
    Network::new("test", graph, task, Ends { features, answers: labels, output: logits, loss })
}

/// Attention takes less than one head's matrix of weights would, with its gradients; and the
/// largest vocabularies of the field fit every kernel on their way.
#[test]
fn long_texts_and_large_vocabularies_are_planned() {
    let length = 8_192;
    let memory = planned(&language(length, 32), "").memory();
    let matrix = u64::from(length) * u64::from(length) * 4;
    assert!(memory.scratch < matrix / 8, "{memory:?}, a matrix is {matrix}");
    // Twice as many positions take twice as much, past what one launch goes through, too.
    let scratch = |length| planned(&language(length, 32), "").memory().scratch;
    assert!(scratch(2 * length) <= 2 * memory.scratch);
    let (far, further) = (scratch(8 * length), scratch(16 * length));
    println!("scratch of {length} positions {} B, of {} {further} B", memory.scratch, 16 * length);
    assert!(further <= 2 * far, "{further} B after {far} B");
    // The logarithms of launches that go on from each other, two at once.
    assert!(far <= 8 * memory.scratch + 2 * u64::from(8 * length) * 4 * 4, "{far} B");
    let plan = planned(&language(16, 151_936), "");
    let table = 151_936 * 64 * 4;
    // The table, Adam's two and the gradients of both its uses.
    assert!((3 * table..4 * table).contains(&plan.memory().persistent), "{:?}", plan.memory());
    let sums = launches(&plan, "train").iter().filter(|l| l.contains("embed.weight")).count();
    assert!(sums >= 3, "{plan}");
}
