//! Tiny networks of the field's architectures: the values that transformers gives for them, which
//! are in `golden.json` beside each (`scripts/make_pretrained_goldens.py`).
mod distill;
mod generate;
mod images;
mod language;
mod names;
mod owl;
mod prune;
mod prune_rows;
mod removal;
mod rows;
mod texts;
mod training;

use std::path::Path;

use secateur::gpu::{Encoder, PlanBuilder};
use secateur::graph::{Bindings, Mode, lower};
use secateur::kernels::STEP_WORDS;
use secateur::pretrained::{CutGraph, Pretrained, Rows};
use serde_json::Value;

use crate::common::gpu;
use crate::models::model;

/// How far the field's f32 and ours may be apart.
const APART: f64 = 2e-4;

/// A model and what transformers says of it.
struct Golden {
    name: String,
    model: Pretrained,
    golden: Value,
}

impl Golden {
    fn open(name: &str) -> Self {
        Self::at(&model(name), name)
    }

    fn at(path: &Path, name: &str) -> Self {
        let golden = std::fs::read(path.join("golden.json")).unwrap();
        let model = Pretrained::open(path).unwrap_or_else(|e| panic!("{e}"));
        Self { name: name.to_owned(), model, golden: serde_json::from_slice(&golden).unwrap() }
    }

    fn floats(&self, name: &str) -> Vec<f64> {
        flat(&self.golden[name])
    }

    /// The rows of a matrix.
    fn rows(&self, name: &str) -> Vec<Vec<u32>> {
        let rows = self.golden[name].as_array().unwrap_or_else(|| panic!("no {name}"));
        rows.iter().map(|row| flat(row).into_iter().map(|x| x as u32).collect()).collect()
    }

    /// What comes out for each of `rows`, block after block and of the whole network at once for
    /// the same rows as `features`, twice over: both must be what is in the golden file.
    fn outputs(
        &self,
        rows: Rows<'_>,
        features: &[f32],
        length: usize,
    ) -> Option<[Vec<Vec<f64>>; 2]> {
        let gpu = gpu()?;
        let each = self.model.outputs(gpu, rows).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        let whole = self.whole(features, each.len(), length);
        let width = whole.len() / each.len();
        let each = each.iter().map(|row| row.iter().copied().map(f64::from).collect());
        Some([each.collect(), whole.chunks(width).map(<[f64]>::to_vec).collect()])
    }

    /// What the network makes of `batch` rows of features in one graph.
    fn whole(&self, features: &[f32], batch: usize, length: usize) -> Vec<f64> {
        let gpu = gpu().unwrap();
        let of = self.model.whole(batch as u32, length as u32).unwrap();
        let CutGraph { graph, sources, features: input, output, .. } = of;
        let mut plan = PlanBuilder::new(gpu.target());
        let step = plan.persistent("step", STEP_WORDS);
        let mut bindings = Bindings::new(&graph, step);
        let mut place = |tensor| {
            let words = graph.shape(tensor).elements().unwrap();
            let slot = plan.persistent("tensor", words);
            bindings.set(tensor, slot);
            slot
        };
        let parameters: Vec<_> = graph.parameters().iter().map(|p| place(p.tensor)).collect();
        let [input, output_at] = [input, output].map(place);
        let phase = plan.phase("evaluate");
        lower(&graph, &mut plan, &bindings, &[output], Mode::Evaluate).unwrap();
        let program = plan.build(gpu).unwrap();
        program.poison_scratch(gpu);
        program.upload(gpu, input, features);
        for (slot, source) in parameters.into_iter().zip(&sources) {
            program.upload(gpu, slot, &self.model.parameter(source).unwrap());
        }
        let mut encoder = Encoder::new(gpu);
        program.encode(phase, &mut encoder);
        encoder.submit().unwrap();
        let values: Vec<f32> = program.download(gpu, output_at).unwrap();
        values.into_iter().map(f64::from).collect()
    }
}

/// All numbers of `value`, whatever its nesting.
fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(flat).collect(),
        value => vec![value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))],
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
