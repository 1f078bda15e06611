//! Weights that are packed on the device: graphs that read them, and what does not.
use secateur::Optimizer;
use secateur::gpu::{Encoder, Gpu, PlanBuilder, Slot};
use secateur::graph::{Bindings, Graph, Mode, Stored, Tensor, Weight, gradients, lower};
use secateur::kernels::*;
use secateur::optim::Update;

use crate::common::{Noise, Tol, gpu};

const BATCH: u32 = 3;
const WIDTHS: [u32; 3] = [40, 33, 5];

/// Two layers, of which the second has its outputs first.
struct Net {
    graph: Graph,
    features: Tensor,
    labels: Tensor,
    weights: [Tensor; 2],
    bias: Tensor,
    output: Tensor,
    loss: Tensor,
}

fn net() -> Net {
    let mut graph = Graph::default();
    let features = graph.features(BATCH, WIDTHS[0]);
    let labels = graph.labels(BATCH);
    let first = graph.parameter("fc1.weight", [WIDTHS[0], WIDTHS[1]]).unwrap();
    let second = graph.parameter("fc2.weight", [WIDTHS[2], WIDTHS[1]]).unwrap();
    let second = graph.outputs_first(second).unwrap();
    let bias = graph.parameter("fc1.bias", [WIDTHS[1]]).unwrap();
    let hidden = graph.linear(features, first, Some(bias), Activation::Relu).unwrap();
    let output = graph.linear(hidden, second, None, Activation::Identity).unwrap();
    let loss = graph.softmax_cross_entropy(output, labels).unwrap();
    Net { graph, features, labels, weights: [first, second], bias, output, loss }
}

/// Whole numbers with many zeros: sums are exact in any order.
fn values(seed: u64, len: u32) -> Vec<f32> {
    let zeros = Noise::new(seed).below(len as usize, 4).into_iter();
    let values = Noise::new(seed + 1).integers(len as usize, 4);
    zeros.zip(values).map(|(zero, value)| if zero == 0 { value } else { 0.0 }).collect()
}

impl Net {
    fn words(&self, tensor: Tensor) -> u32 {
        self.graph.shape(tensor).elements().unwrap()
    }

    fn matrix(&self, at: usize, form: PackedForm, plan: &PlanBuilder) -> PackedMatrix {
        let tensor = self.weights[at];
        let of = self.graph.parameters().iter().find(|p| p.tensor == tensor).unwrap().units();
        let values = values(at as u64, self.words(tensor));
        PackedMatrix::pack(form, of, &values, PackedValues::F32, plan.target()).unwrap()
    }

    /// What comes out where both weights are dense, or packed in `form`.
    fn run(&self, gpu: &Gpu, form: Option<PackedForm>) -> Vec<f32> {
        let mut plan = PlanBuilder::new(gpu.target());
        let step = plan.persistent("step", STEP_WORDS);
        let mut bindings = Bindings::new(&self.graph, step);
        let mut dense: Vec<(Slot, Vec<f32>)> = Vec::new();
        let mut packed = Vec::new();
        for (seed, tensor) in [(7, self.features), (8, self.bias)] {
            let slot = plan.persistent("dense", self.words(tensor));
            bindings.set(tensor, slot);
            dense.push((slot, Noise::new(seed).integers(self.words(tensor) as usize, 4)));
        }
        for (at, &tensor) in self.weights.iter().enumerate() {
            match form {
                None => {
                    let slot = plan.persistent("weight", self.words(tensor));
                    bindings.set(tensor, slot);
                    dense.push((slot, values(at as u64, self.words(tensor))));
                }
                Some(form) => {
                    let matrix = self.matrix(at, form, &plan);
                    let declared = matrix.declare(&mut plan, "weight");
                    bindings.set(tensor, declared);
                    packed.push((declared, matrix));
                }
            }
        }
        let phase = plan.phase("predict");
        let out = lower(&self.graph, &mut plan, &bindings, &[self.output], Mode::Evaluate).unwrap();
        plan.keep(&out);
        let program = plan.build(gpu).unwrap();
        dense.iter().for_each(|(slot, values)| program.upload(gpu, *slot, values));
        packed.iter().for_each(|(declared, matrix)| declared.upload(gpu, &program, matrix));
        let mut encoder = Encoder::new(gpu);
        program.encode(phase, &mut encoder);
        encoder.submit().unwrap();
        for (declared, matrix) in &packed {
            let layout = Layout::OutIn;
            let back = declared.download(gpu, &program).unwrap();
            assert_eq!(back.dense(layout), matrix.dense(layout));
        }
        program.download(gpu, out[0]).unwrap()
    }

    /// What is said of `wanted` where the weight number `at` is packed.
    fn refused(&self, at: usize, wanted: &[Tensor]) -> String {
        let mut plan = PlanBuilder::default();
        let step = plan.persistent("step", STEP_WORDS);
        let mut bindings = Bindings::new(&self.graph, step);
        for node in self.graph.parameters() {
            bindings.set(node.tensor, plan.persistent(&node.name, self.words(node.tensor)));
        }
        bindings.set(self.features, plan.persistent("features", self.words(self.features)));
        bindings.set(self.labels, plan.persistent("labels", BATCH));
        let matrix = self.matrix(at, PackedForm::Gaps, &plan);
        bindings.set(self.weights[at], matrix.declare(&mut plan, "packed"));
        plan.phase("train");
        let lowered = lower(&self.graph, &mut plan, &bindings, wanted, Mode::Train);
        lowered.unwrap_err().to_string()
    }
}

/// Whole numbers, whose sums no order changes.
#[test]
fn a_network_computes_the_same_by_packed_weights() {
    let Some(gpu) = gpu() else { return };
    let net = net();
    let want = net.run(gpu, None);
    assert!(want.iter().any(|&x| x != 0.0));
    for form in PackedForm::ALL {
        Tol::Exact
            .check(&net.run(gpu, Some(form)), &want)
            .unwrap_or_else(|e| panic!("{form:?}: {e}"));
    }
}

/// A gradient of what comes before it reads the weight, its own gradient does not, and an optimizer
/// has nothing to move.
#[test]
fn what_would_train_a_packed_weight_names_it() {
    let mut net = net();
    let gradients = gradients(&mut net.graph, net.loss).unwrap();
    let first = gradients[0].unwrap();
    let error = net.refused(1, &[first]);
    assert!(error.contains("fc2.weight") && error.contains("is packed"), "{error}");

    let mut plan = PlanBuilder::default();
    let matrix = net.matrix(1, PackedForm::Gaps, &plan);
    let stored: Stored = matrix.declare(&mut plan, "fc2.weight").into();
    let shape = net.graph.shape(net.weights[1]).clone();
    let [gradient, step] = [165, STEP_WORDS].map(|words| plan.persistent("slot", words));
    plan.phase("train");
    let update = Update::new(Weight::new("fc2.weight", shape, stored), gradient, step);
    let error = Optimizer::sgd(1.0).push(&mut plan, &update).unwrap_err().to_string();
    assert!(error.contains("fc2.weight") && error.contains("is packed"), "{error}");
}

/// What is no product of the forward pass cannot read it.
#[test]
fn an_embedding_does_not_read_a_packed_table() {
    let mut net = net();
    let tokens = net.graph.features(BATCH, 2);
    let embedded = net.graph.embedding(tokens, net.weights[1]).unwrap();
    let features = std::mem::replace(&mut net.features, tokens);
    let error = net.refused(1, &[embedded]);
    net.features = features;
    assert!(error.contains("fc2.weight") && error.contains("is packed"), "{error}");
}

/// A matrix of other extents than the layer's is named with both.
#[test]
fn a_packed_matrix_of_another_shape_is_refused() {
    let mut net = net();
    net.weights.swap(0, 1);
    let other = net.graph.parameter("other.weight", [WIDTHS[1], WIDTHS[0]]).unwrap();
    net.weights[1] = other;
    let mut plan = PlanBuilder::default();
    let step = plan.persistent("step", STEP_WORDS);
    let mut bindings = Bindings::new(&net.graph, step);
    bindings.set(net.features, plan.persistent("features", net.words(net.features)));
    bindings.set(net.bias, plan.persistent("bias", WIDTHS[1]));
    let matrix = net.matrix(1, PackedForm::Bitmask, &plan);
    let first = net.graph.parameters()[0].tensor;
    bindings.set(first, matrix.declare(&mut plan, "packed"));
    bindings.set(net.weights[0], plan.persistent("fc2.weight", net.words(net.weights[0])));
    plan.phase("predict");
    let lowered = lower(&net.graph, &mut plan, &bindings, &[net.output], Mode::Evaluate);
    let error = lowered.unwrap_err().to_string();
    let said = ["fc1.weight", "40 units of 33 inputs", "33 and 40"];
    assert!(said.iter().all(|part| error.contains(part)), "{error}");
}
