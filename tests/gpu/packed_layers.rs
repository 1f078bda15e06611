//! Layers with packed weights: what they make is what they make with dense ones.
use secateur::gpu::{Encoder, Gpu, PlanBuilder, Slot};
use secateur::graph::{
    Bindings, Conv2dOptions, Graph, GruWeights, LstmOptions, LstmWeights, Mode, Padding, Tensor,
    lower,
};
use secateur::kernels::*;

use crate::common::{Noise, Tol, U, gpu};

const ROWS: u32 = 3;
const LENGTH: u32 = 5;
const WIDTH: u32 = 11;
const UNITS: u32 = 13;
const OUTPUTS: u32 = 9;

/// A layer, and which of its weights can be packed.
struct Layer {
    graph: Graph,
    packs: Vec<Tensor>,
    output: Tensor,
}

fn lstm(peepholes: bool, projects: bool) -> Layer {
    let mut graph = Graph::default();
    let x = graph.parameter("x", [ROWS, LENGTH, WIDTH]).unwrap();
    let outputs = if projects { OUTPUTS } else { UNITS };
    let kernel = graph.parameter("kernel", [WIDTH + outputs, 4 * UNITS]).unwrap();
    let bias = graph.parameter("bias", [4 * UNITS]).unwrap();
    let peepholes = peepholes.then(|| graph.parameter("peepholes", [3, UNITS]).unwrap());
    let projection = projects.then(|| graph.parameter("projection", [UNITS, OUTPUTS]).unwrap());
    let h = graph.carried("h", [ROWS, outputs]).unwrap();
    let c = graph.carried("c", [ROWS, UNITS]).unwrap();
    let weights = LstmWeights { kernel, bias, peepholes, projection, outputs: h, cells: c };
    let output = graph.lstm(x, weights, LstmOptions::default()).unwrap();
    Layer { graph, packs: [kernel].into_iter().chain(projection).collect(), output }
}

fn gru() -> Layer {
    let mut graph = Graph::default();
    let x = graph.parameter("x", [ROWS, LENGTH, WIDTH]).unwrap();
    let gates = graph.parameter("gates", [WIDTH + UNITS, 2 * UNITS]).unwrap();
    let gates_bias = graph.parameter("gates_bias", [2 * UNITS]).unwrap();
    let candidate = graph.parameter("candidate", [WIDTH + UNITS, UNITS]).unwrap();
    let candidate_bias = graph.parameter("candidate_bias", [UNITS]).unwrap();
    let state = graph.carried("state", [ROWS, UNITS]).unwrap();
    let weights = GruWeights { gates, gates_bias, candidate, candidate_bias, state };
    let output = graph.gru(x, weights).unwrap();
    Layer { graph, packs: vec![gates, candidate], output }
}

fn convolution(kernel: u32) -> Layer {
    let mut graph = Graph::default();
    let x = graph.parameter("x", [ROWS, 9, 8, WIDTH]).unwrap();
    let weight = graph.parameter("weight", [kernel, kernel, WIDTH, UNITS]).unwrap();
    let bias = graph.parameter("bias", [UNITS]).unwrap();
    let options = Conv2dOptions { padding: Padding::Same, ..Conv2dOptions::default() };
    let output = graph.conv2d(x, weight, Some(bias), Activation::Relu, options).unwrap();
    Layer { graph, packs: vec![weight], output }
}

impl Layer {
    fn words(&self, tensor: Tensor) -> u32 {
        self.graph.shape(tensor).elements().unwrap()
    }

    /// Below a quarter in magnitude; of what can be packed most are zero.
    fn values(&self, tensor: Tensor) -> Vec<f32> {
        let len = self.words(tensor) as usize;
        let values = Noise::new(tensor.index() as u64).floats(len, 0.25);
        if !self.packs.contains(&tensor) {
            return values;
        }
        let kept = Noise::new(9).below(len, 4);
        kept.into_iter().zip(values).map(|(kept, v)| if kept == 0 { v } else { 0.0 }).collect()
    }

    /// What comes out with the weights dense, or packed in `form`; and the launches.
    fn run(&self, gpu: &Gpu, form: Option<PackedForm>) -> (Vec<f32>, String) {
        let mut plan = PlanBuilder::new(gpu.target());
        let step = plan.persistent("step", STEP_WORDS);
        let mut bindings = Bindings::new(&self.graph, step);
        let (mut dense, mut packed): (Vec<(Slot, Vec<f32>)>, Vec<_>) = Default::default();
        for parameter in self.graph.parameters() {
            let (tensor, values) = (parameter.tensor, self.values(parameter.tensor));
            match form.filter(|_| self.packs.contains(&tensor)) {
                Some(form) => {
                    assert!(self.graph.packs(tensor).is_ok());
                    let of = parameter.units();
                    let target = gpu.target();
                    let kind = PackedValues::F32;
                    let matrix = PackedMatrix::pack(form, of, &values, kind, target).unwrap();
                    let declared = matrix.declare(&mut plan, &parameter.name);
                    bindings.set(tensor, declared);
                    packed.push((declared, matrix));
                }
                None => {
                    let slot = plan.persistent(&parameter.name, self.words(tensor));
                    bindings.set(tensor, slot);
                    dense.push((slot, values));
                }
            }
        }
        let phase = plan.phase("predict");
        let out = lower(&self.graph, &mut plan, &bindings, &[self.output], Mode::Evaluate).unwrap();
        plan.keep(&out);
        let text = plan.to_string();
        let program = plan.build(gpu).unwrap();
        program.poison_scratch(gpu);
        // Rows go on from the states, which are not 0.
        program.upload(gpu, step, &[Step { follows: 1, ..Step::default() }]);
        dense.iter().for_each(|(slot, values)| program.upload(gpu, *slot, values));
        packed.iter().for_each(|(declared, matrix)| declared.upload(gpu, &program, matrix));
        let mut encoder = Encoder::new(gpu);
        program.encode(phase, &mut encoder);
        encoder.submit().unwrap();
        (program.download(gpu, out[0]).unwrap(), text)
    }

    /// `roundings` sums of `terms` weights below a quarter and inputs of at most 1 reach an output.
    fn agrees(&self, gpu: &Gpu, what: &str, terms: u32, roundings: f64) {
        let (want, _) = self.run(gpu, None);
        assert!(want.iter().all(|x| x.is_finite()) && want.iter().any(|&x| x != 0.0), "{what}");
        let magnitude = 0.25 * f64::from(terms);
        let bound = 2.0 * roundings * 4.0 * f64::from(terms).sqrt() * U * magnitude;
        for form in PackedForm::ALL {
            let (got, text) = self.run(gpu, Some(form));
            assert!(
                text.contains(&format!("{}_matmul", form.name().trim_end_matches('s')))
                    || text.contains(&format!("{}_matmul", form.name())),
                "{text}"
            );
            let bounds = vec![bound; want.len()];
            let context = |e| panic!("{what}, {form:?}: {e}");
            Tol::Within(&bounds).check(&got, &want).unwrap_or_else(context);
            assert_eq!(got, self.run(gpu, Some(form)).0, "{what}, {form:?}: twice");
        }
    }
}

/// Each state has the roundings of its own sums, and of those before it what the gates let through:
/// weights below a quarter, of which a quarter are kept, and slopes of at most 1 pass on less than
/// `UNITS / 16`, which is below 1, of four gates. So as many roundings reach the last state as there
/// are places, four times each, and a projection adds its own.
#[test]
fn recurrent_layers_answer_what_they_do_with_dense_weights() {
    let Some(gpu) = gpu() else { return };
    let roundings = 4.0 * f64::from(LENGTH);
    for (peepholes, projects) in [(false, false), (true, false), (true, true)] {
        let what = format!("lstm, {peepholes}, {projects}");
        lstm(peepholes, projects).agrees(gpu, &what, WIDTH + UNITS, 2.0 * roundings);
    }
    gru().agrees(gpu, "gru", WIDTH + UNITS, roundings);
}

/// One sum each.
#[test]
fn convolutions_answer_what_they_do_with_dense_weights() {
    let Some(gpu) = gpu() else { return };
    for kernel in [1, 3] {
        let terms = kernel * kernel * WIDTH;
        convolution(kernel).agrees(gpu, &format!("kernel {kernel}"), terms, 1.0);
    }
}

/// Lists of blocks are gone through in the order of the dense sums: the same bits, where these are
/// not split.
#[test]
fn convolutions_with_blocks_have_the_bits_of_dense_ones() {
    let Some(gpu) = gpu() else { return };
    for kernel in [1, 3] {
        let layer = convolution(kernel);
        let bits = |form| {
            let all = layer.run(gpu, form).0.into_iter();
            all.map(f32::to_bits).collect::<Vec<_>>()
        };
        assert!(bits(Some(PackedForm::Blocks)) == bits(None), "kernel {kernel}");
    }
}

/// What reads all of a weight is named.
#[test]
fn what_cannot_be_packed_says_why() {
    let Layer { graph, packs, .. } = lstm(true, true);
    let weight = |name: &str| {
        let found = graph.parameters().iter().find(|p| p.name == name);
        graph.packs(found.unwrap().tensor)
    };
    let kernel = weight("kernel").unwrap();
    assert_eq!(("lstm", ROWS, OUTPUTS), (kernel.operation, kernel.rows, kernel.inputs));
    let projection = weight("projection").unwrap();
    assert_eq!((ROWS, UNITS, false), (projection.rows, projection.inputs, projection.patches));
    assert_eq!(packs.len(), 2);
    for name in ["x", "bias", "peepholes", "h"] {
        assert_eq!(weight(name).unwrap_err(), "lstm reads all of it", "{name}");
    }

    let mut graph = Graph::default();
    let x = graph.parameter("x", [2, 5, 5, 4]).unwrap();
    let grouped = graph.parameter("grouped", [3, 3, 2, 6]).unwrap();
    let options = Conv2dOptions { groups: 2, ..Conv2dOptions::default() };
    graph.conv2d(x, grouped, None, Activation::Identity, options).unwrap();
    assert_eq!(graph.packs(grouped).unwrap_err(), "its channels are in 2 groups");
    let kernel = graph.parameter("kernel", [3, 3, 4, 6]).unwrap();
    let one = Conv2dOptions::default();
    graph.conv2d(x, kernel, None, Activation::Identity, one).unwrap();
    let used = graph.packs(kernel).unwrap();
    assert_eq!((used.operation, used.rows, used.patches), ("conv2d", 50, true));

    let table = graph.parameter("table", [7, 36]).unwrap();
    let tokens = graph.features(2, 3);
    graph.embedding(tokens, table).unwrap();
    assert_eq!(graph.packs(table).unwrap_err(), "embedding reads all of it");
    let idle = graph.parameter("idle", [2, 2]).unwrap();
    assert_eq!(graph.packs(idle).unwrap_err(), "nothing multiplies with it");
}
