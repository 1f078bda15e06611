//! Tiny networks of the field's architectures, built by hand from their files: the values that
//! transformers gives for them, which are in `golden.json` beside each.
mod causal;
mod encoders;

use std::collections::BTreeMap;

use safetensors::SafeTensors;
use secateur::gpu::{Encoder, PlanBuilder};
use secateur::graph::{Bindings, Graph, Mode, Shape, Tensor, lower};
use secateur::kernels::{Activation, STEP_WORDS};
use serde_json::Value;

use crate::common::gpu;
use crate::paths::{golden, project};

/// How far the field's f32 and ours may be apart.
const APART: f64 = 2e-4;

/// A network on its way from its file.
struct Pretrained {
    graph: Graph,
    config: Value,
    golden: Value,
    /// Shapes and values by name.
    file: BTreeMap<String, (Vec<u32>, Vec<f32>)>,
    /// What the parameters of the graph hold, in their order.
    values: Vec<Vec<f32>>,
}

impl Pretrained {
    fn open(name: &str) -> Self {
        let json = |file| serde_json::from_str(&golden(&format!("models/{name}/{file}"))).unwrap();
        let path = project().join("tests/goldens/models").join(name).join("model.safetensors");
        let bytes = std::fs::read(path).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let file = tensors.tensors().into_iter().map(|(name, view)| {
            let shape = view.shape().iter().map(|&d| d as u32).collect();
            (name, (shape, bytemuck::pod_collect_to_vec(view.data())))
        });
        Self {
            graph: Graph::default(),
            config: json("config.json"),
            golden: json("golden.json"),
            file: file.collect(),
            values: Vec::new(),
        }
    }

    fn number(&self, name: &str) -> u32 {
        self.config[name].as_u64().unwrap_or_else(|| panic!("no {name}")) as u32
    }

    fn floats(&self, name: &str) -> Vec<f64> {
        flat(&self.golden[name])
    }

    /// A tensor of the file as a parameter, with values that `arrange` makes of its own.
    fn parameter_as(
        &mut self,
        name: &str,
        shape: impl Into<Shape>,
        arrange: impl Fn(&[f32]) -> Vec<f32>,
    ) -> Tensor {
        let (_, values) = &self.file[name];
        self.values.push(arrange(values));
        self.graph.parameter(name, shape).unwrap()
    }

    fn parameter(&mut self, name: &str) -> Tensor {
        let shape = Shape::new(self.file[name].0.clone());
        self.parameter_as(name, shape, <[f32]>::to_vec)
    }

    /// `activation(x weight^T + bias)`, with the bias that the file has or has not.
    fn linear(&mut self, x: Tensor, name: &str, activation: Activation) -> Tensor {
        let weight = self.parameter(&format!("{name}.weight"));
        let weight = self.graph.outputs_first(weight).unwrap();
        self.product(x, weight, name, activation)
    }

    fn product(&mut self, x: Tensor, weight: Tensor, name: &str, activation: Activation) -> Tensor {
        let bias = format!("{name}.bias");
        let bias = self.file.contains_key(&bias).then(|| self.parameter(&bias));
        self.graph.linear(x, weight, bias, activation).unwrap()
    }

    /// A layer norm with scale and shift, or where there is no shift an RMS norm.
    fn norm(&mut self, x: Tensor, name: &str, epsilon: &str) -> Tensor {
        let epsilon = self.config[epsilon].as_f64().unwrap() as f32;
        let shift = format!("{name}.bias");
        let shifts = self.file.contains_key(&shift);
        let x = self.graph.normalise(x, epsilon, shifts).unwrap();
        let scale = self.parameter(&format!("{name}.weight"));
        let x = self.graph.mul(x, scale).unwrap();
        if !shifts {
            return x;
        }
        let shift = self.parameter(&shift);
        self.graph.add(x, shift).unwrap()
    }

    /// The values of `wanted` for these features.
    fn evaluate(&self, features: (Tensor, &[f32]), wanted: &[Tensor]) -> Option<Vec<Vec<f64>>> {
        let gpu = gpu()?;
        let mut plan = PlanBuilder::new(gpu.target());
        let step = plan.persistent("step", STEP_WORDS);
        let mut bindings = Bindings::new(&self.graph, step);
        let mut place = |tensor: Tensor| {
            let words = self.graph.shape(tensor).elements().unwrap();
            let slot = plan.persistent(&self.graph.nodes()[tensor.index()].name, words);
            bindings.set(tensor, slot);
            slot
        };
        let parameters = self.graph.parameters().iter().map(|p| p.tensor);
        let parameters: Vec<_> = parameters.map(&mut place).zip(&self.values).collect();
        let input = place(features.0);
        let outputs: Vec<_> = wanted.iter().map(|&tensor| place(tensor)).collect();
        let phase = plan.phase("evaluate");
        lower(&self.graph, &mut plan, &bindings, wanted, Mode::Evaluate).unwrap();
        let program = plan.build(gpu).unwrap();
        program.poison_scratch(gpu);
        program.upload(gpu, input, features.1);
        parameters.into_iter().for_each(|(slot, values)| program.upload(gpu, slot, values));
        let mut encoder = Encoder::new(gpu);
        program.encode(phase, &mut encoder);
        encoder.submit().unwrap();
        let read = |slot| {
            let values: Vec<f32> = program.download(gpu, slot).unwrap();
            values.into_iter().map(f64::from).collect()
        };
        Some(outputs.into_iter().map(read).collect())
    }

    /// That nothing of the file was left over.
    fn check_all_taken(&self) {
        let taken: Vec<&str> = self.graph.parameters().iter().map(|p| p.name.as_str()).collect();
        let left: Vec<&String> =
            self.file.keys().filter(|name| !taken.contains(&name.as_str())).collect();
        assert!(left.is_empty(), "{left:?} are left over");
    }
}

/// All numbers of `value`, whatever its nesting.
fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(flat).collect(),
        value => vec![value.as_f64().unwrap()],
    }
}

fn check(name: &str, got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{name}");
    let apart = got.iter().zip(want).map(|(got, want)| (got - want).abs());
    let furthest = apart.fold(0.0, |most: f64, x| if x.is_nan() { f64::NAN } else { most.max(x) });
    assert!(furthest <= APART, "{name}: {furthest} apart");
    // The comparison has teeth.
    assert!(want.iter().any(|x| x.abs() > 100.0 * APART), "{name} is all but zero");
}
