//! Each layer as a recipe declares it, from `tests/layers`: central differences, and the device
//! against f64.
use std::collections::BTreeSet;

use secateur::data::Task;
use secateur::kernels::Step;
use secateur::nn::layers::Layer;
use secateur::nn::{Input, Model};
use serde::Deserialize;

use super::Case;

/// A stack with the layer that the file is named after, and the rows that it is for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    input: Vec<usize>,
    #[serde(default = "one")]
    places: usize,
    classes: u32,
    model: Model,
}

fn one() -> usize {
    1
}

fn declared() -> Vec<(String, Declared)> {
    let folder = crate::paths::project().join("tests/layers");
    let mut all: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).unwrap();
            let declared = toml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            (name, declared)
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

#[test]
fn every_layer_has_its_file() {
    let names: BTreeSet<String> = declared().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, Layer::KINDS.iter().map(|k| (*k).to_owned()).collect());
    for (name, Declared { model, .. }) in declared() {
        let kind = format!("\"kind\":\"{name}\"");
        assert!(model.to_string().contains(&kind), "{name} is not in its file");
        assert_eq!(model.to_string().parse::<Model>().unwrap(), model, "{name}");
    }
}

#[test]
fn every_layer_has_its_gradient() {
    for (name, Declared { input, places, classes, model }) in declared() {
        let input =
            Input { shape: input, task: Task::Classification { classes, positions: places } };
        let network = model.network(3, &input).unwrap_or_else(|e| panic!("{name}: {e}"));
        let tokens = matches!(model.layers()[0], Layer::Embedding(_));
        for (rows, follows) in [(3, 1), (2, 0)] {
            // By the name, so that a layer more changes no other's numbers.
            let seed = name.bytes().map(u64::from).sum();
            let case = Case::new(network.clone(), rows, 100, seed);
            let case = Case { step: Step { follows, ..case.step }, ..case };
            let case = if tokens { case.tokens(classes) } else { case };
            let gradients = case.by_graph(None);
            let trainable = case.trainable();
            assert_eq!(gradients.len(), 1 + trainable.len(), "{name}: a weight without a gradient");
            case.check();
        }
    }
}
