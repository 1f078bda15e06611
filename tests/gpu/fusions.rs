//! What one launch does for several nodes is what each would have alone.
use std::slice::from_ref;

use secateur::gpu::{Encoder, Gpu, PlanBuilder, Target};
use secateur::graph::{Bindings, Conv2dOptions, Graph, Mode, Op, Tensor, gradients, lower};
use secateur::kernels::{Activation, STEP_WORDS, Step};

use crate::common::{Noise, gpu};

/// A layer, its features and labels, and the wanted tensors.
struct Case {
    graph: Graph,
    features: Tensor,
    labels: Tensor,
    wanted: Vec<Tensor>,
    /// Whether the numbers are whole.
    whole: bool,
}

const BATCH: u32 = 70;
const WIDTH: u32 = 3;
const CLASSES: u32 = 5;

/// `want` is given the graph, logits and labels, with `places` labels a row.
fn case(places: u32, want: impl Fn(&mut Graph, Tensor, Tensor) -> Vec<Tensor>) -> Case {
    let mut graph = Graph::default();
    let features = graph.features(BATCH, places * WIDTH);
    let labels = match places {
        1 => graph.labels(BATCH),
        _ => graph.position_labels(BATCH, places),
    };
    let weight = graph.parameter("fc.weight", [WIDTH, CLASSES]).unwrap();
    let x = match places {
        1 => features,
        _ => graph.reshape(features, [BATCH, places, WIDTH]).unwrap(),
    };
    let logits = graph.linear(x, weight, None, Activation::Identity).unwrap();
    let wanted = want(&mut graph, logits, labels);
    Case { graph, features, labels, wanted, whole: true }
}

impl Case {
    /// The launches by name, and the words of what is wanted: a lowering for each of `lowerings`.
    fn run(&self, gpu: Option<&Gpu>, lowerings: &[Vec<Tensor>]) -> (Vec<String>, Vec<u32>) {
        let mut plan = PlanBuilder::new(gpu.map_or(Target::default(), Gpu::target));
        let step = plan.persistent("step", STEP_WORDS);
        let mut bindings = Bindings::new(&self.graph, step);
        let words = |t: Tensor| self.graph.shape(t).elements().unwrap();
        let mut place = |name: &str, t: Tensor| {
            let slot = plan.persistent(name, words(t));
            bindings.set(t, slot);
            slot
        };
        let [features, labels] = [self.features, self.labels].map(|t| place("input", t));
        let parameters = self.graph.parameters().iter();
        let parameters: Vec<_> = parameters.map(|p| (p.tensor, place(&p.name, p.tensor))).collect();
        let out: Vec<_> = self.wanted.iter().map(|&t| place("wanted", t)).collect();
        let mut phases = Vec::new();
        for wanted in lowerings {
            phases.push(plan.phase("test"));
            lower(&self.graph, &mut plan, &bindings, wanted, Mode::Train).unwrap();
        }
        let text = plan.to_string();
        let launches = text.lines().filter_map(|l| l.strip_prefix("  ")?.split(' ').next());
        let launches = launches.map(str::to_owned).collect();
        let Some(gpu) = gpu else { return (launches, Vec::new()) };
        let program = plan.build(gpu).unwrap();
        let mut noise = Noise::new(9);
        let mut upload = |t: Tensor, slot| {
            let len = words(t) as usize;
            // Whole numbers have many ties.
            let values = if self.whole { noise.integers(len, 2) } else { noise.floats(len, 0.7) };
            program.upload(gpu, slot, &values);
        };
        upload(self.features, features);
        parameters.into_iter().for_each(|(t, slot)| upload(t, slot));
        program.upload(gpu, labels, &noise.below(words(self.labels) as usize, CLASSES));
        program.upload(gpu, step, &[Step { rows: BATCH - 3, ..Step::default() }]);
        program.poison_scratch(gpu);
        for phase in phases {
            let mut encoder = Encoder::new(gpu);
            program.encode(phase, &mut encoder);
            encoder.submit().unwrap();
        }
        let got = out.iter().flat_map(|&slot| program.download::<u32>(gpu, slot).unwrap());
        (launches, got.collect())
    }

    /// That all together are these launches after the layer, and give the bits of each alone.
    fn check(&self, want: &[&str]) {
        let gpu = gpu();
        let (launches, together) = self.run(gpu, from_ref(&self.wanted));
        assert_eq!(launches[1..], *want);
        let alone: Vec<_> = self.wanted.iter().map(|&w| vec![w]).collect();
        assert_eq!(together, self.run(gpu, &alone).1);
        // They are no zeros.
        assert!(gpu.is_none() || together.iter().all(|word| *word != 0));
    }

    /// That sums take so many launches `add`, and so many more where every product in a sum is
    /// wanted for itself, to the same bits; and that a second run gives them again.
    fn check_sums(&self, [fused, more]: [usize; 2]) {
        let gpu = gpu();
        let is_product = |t: &Tensor| {
            let op = self.graph.nodes()[t.index()].op;
            matches!(op, Op::Matmul(_) | Op::Conv2d(_))
        };
        let sums = self.graph.nodes().iter().filter(|n| matches!(n.op, Op::Add(_)));
        let addends = sums.flat_map(|n| n.inputs.iter()).copied().filter(is_product);
        let apart: Vec<_> = self.wanted.iter().copied().chain(addends).collect();
        let adds = |launches: &[String]| launches.iter().filter(|l| *l == "add").count();
        let (launches, together) = self.run(gpu, from_ref(&self.wanted));
        let (unfused, want) = self.run(gpu, &[apart]);
        assert_eq!([adds(&launches), adds(&unfused)], [fused, fused + more]);
        assert_eq!(launches.len() + more, unfused.len());
        assert_eq!(together, want);
        assert_eq!(together, self.run(gpu, from_ref(&self.wanted)).1);
    }
}

#[test]
fn one_launch_for_losses_and_right_rows_and_one_for_their_sums() {
    const FUSED: &[&str] = &["softmax_cross_entropy", "pair_sum"];
    for places in [1, 2] {
        let loss_first = |graph: &mut Graph, logits, labels| {
            let loss = graph.smoothed_cross_entropy(logits, labels, 0.1).unwrap();
            vec![loss, graph.correct(logits, labels).unwrap()]
        };
        case(places, loss_first).check(FUSED);
        let correct_first = |graph: &mut Graph, logits, labels| {
            let correct = graph.correct(logits, labels).unwrap();
            vec![correct, graph.softmax_cross_entropy(logits, labels).unwrap()]
        };
        case(places, correct_first).check(FUSED);
    }
}

#[test]
fn each_alone() {
    let loss = |graph: &mut Graph, logits, labels| {
        let _unread = graph.correct(logits, labels).unwrap();
        vec![graph.softmax_cross_entropy(logits, labels).unwrap()]
    };
    case(1, loss).check(&["softmax_cross_entropy", "column_sum"]);
    let correct = |graph: &mut Graph, logits, labels| {
        let _unread = graph.softmax_cross_entropy(logits, labels).unwrap();
        vec![graph.correct(logits, labels).unwrap()]
    };
    case(1, correct).check(&["correct", "column_sum"]);
}

/// Of two losses of the same logits, and two counts, one each; of other logits none.
#[test]
fn a_launch_is_shared_once() {
    let twice = |graph: &mut Graph, logits, labels| {
        let losses = [0.0, 0.5].map(|s| graph.smoothed_cross_entropy(logits, labels, s).unwrap());
        let correct = [(); 2].map(|()| graph.correct(logits, labels).unwrap());
        [losses, correct].concat()
    };
    let (alone, count) = ("softmax_cross_entropy", "correct");
    let want = [alone, "pair_sum", alone, "column_sum", count, "column_sum"];
    case(1, twice).check(&want);
    let apart = |graph: &mut Graph, logits, labels| {
        let other = graph.activate(logits, Activation::Tanh);
        let loss = graph.softmax_cross_entropy(logits, labels).unwrap();
        vec![loss, graph.correct(other, labels).unwrap()]
    };
    case(1, apart).check(&["activate", alone, "column_sum", count, "column_sum"]);
}

/// Gradients of a classifier of `x`, by the weight `last`.
fn trained(mut graph: Graph, [features, labels, x]: [Tensor; 3], last: Tensor) -> Case {
    let logits = graph.linear(x, last, None, Activation::Identity).unwrap();
    let loss = graph.softmax_cross_entropy(logits, labels).unwrap();
    let wanted = gradients(&mut graph, loss).unwrap().into_iter().flatten().collect();
    Case { graph, features, labels, wanted, whole: false }
}

/// A weight used three times, and around its second use a connection that skips it.
#[test]
fn products_are_added_where_they_are_summed() {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(BATCH, 9), graph.labels(BATCH));
    let w = graph.parameter("all.weight", [9, 9]).unwrap();
    let last = graph.parameter("last.weight", [9, CLASSES]).unwrap();
    let x = graph.linear(features, w, None, Activation::Tanh).unwrap();
    let y = graph.linear(x, w, None, Activation::Tanh).unwrap();
    let sum = graph.add(x, y).unwrap();
    let z = graph.linear(sum, w, None, Activation::Tanh).unwrap();
    // That of the forward pass; two of the weight's gradient, and one of the gradient of x.
    trained(graph, [features, labels, z], last).check_sums([1, 3]);
}

/// Two layers that share a kernel, the second without an activation beside a connection that skips
/// it: the gradient that skips it is then an operand of the product too, which may not add to it.
#[test]
fn convolutions_are_added_where_they_are_summed() {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(BATCH, 4 * 5 * 3), graph.labels(BATCH));
    let w = graph.parameter("conv.weight", [3, 3, 3, 3]).unwrap();
    let last = graph.parameter("last.weight", [4 * 5 * 3, CLASSES]).unwrap();
    let image = graph.reshape(features, [BATCH, 4, 5, 3]).unwrap();
    let options = Conv2dOptions::default();
    let x = graph.conv2d(image, w, None, Activation::Tanh, options).unwrap();
    let y = graph.conv2d(x, w, None, Activation::Identity, options).unwrap();
    let sum = graph.add(x, y).unwrap();
    let sum = graph.activate(sum, Activation::Tanh);
    let flat = graph.reshape(sum, [BATCH, 4 * 5 * 3]).unwrap();
    trained(graph, [features, labels, flat], last).check_sums([2, 1]);
}
