//! Networks of every kind without their dead units: which layers are smaller, and that the outputs
//! are the same.
use secateur::data::Task;
use secateur::graph::Padding;
use secateur::kernels::Activation;
use secateur::nn::layers::{
    Conv, Embedding, Flatten, Gated, Gru, Layer, LayerNorm, Linear, LocalResponseNorm, Lstm,
    Normalizer, Pool, Residual,
};
use secateur::nn::{Input, Living, Model, remove_dead};
use secateur::prune::MaskUpdateOp;
use secateur::session::ModelFile;
use secateur::storage::TensorData;
use secateur::{Gpu, Optimizer, Session};

use crate::common::{Noise, gpu};

const BATCH: usize = 3;

/// Initial weights of a network, and biases and shifts that are not zero.
fn file(gpu: &Gpu, model: &Model, input: &Input) -> ModelFile {
    let network = model.network(BATCH, input).unwrap();
    let session =
        Session::new(gpu, &network, Optimizer::sgd(1.0), &MaskUpdateOp::none(), 5).unwrap();
    let mut file = session.model_file().unwrap();
    let mut noise = Noise::new(3);
    for tensor in &mut file.weights {
        let TensorData::F32(values) = &mut tensor.data else { panic!("{}", tensor.name) };
        if tensor.name.ends_with("bias") || tensor.name.ends_with("shift") {
            *values = noise.floats(values.len(), 0.5);
        }
        if tensor.name.ends_with("running") {
            *values = noise.floats(values.len(), 0.5).iter().map(|v| v.abs() + 0.2).collect();
        }
    }
    file
}

/// Sets the elements of `name` whose last axis is at one of `columns` to zero.
fn zero_columns(file: &mut ModelFile, name: &str, columns: &[usize]) {
    let tensor = file.weights.iter_mut().find(|t| t.name == name).expect(name);
    let width = *tensor.shape.last().unwrap();
    let TensorData::F32(values) = &mut tensor.data else { panic!("{name}") };
    let dead = values.iter_mut().enumerate().filter(|(i, _)| columns.contains(&(i % width)));
    dead.for_each(|(_, v)| *v = 0.0);
}

/// Sets the rows of a matrix to zero: every `period`-th from each of `rows` on.
fn zero_rows(file: &mut ModelFile, name: &str, rows: &[usize], period: usize) {
    let tensor = file.weights.iter_mut().find(|t| t.name == name).expect(name);
    let width = *tensor.shape.last().unwrap();
    let TensorData::F32(values) = &mut tensor.data else { panic!("{name}") };
    let dead = |i: &usize| rows.contains(&(i / width % period));
    (0..values.len()).filter(dead).for_each(|i| values[i] = 0.0);
}

/// The network without its dead units, whose outputs are held against the whole one's.
fn smaller(gpu: &Gpu, model: &Model, input: &Input, file: &ModelFile, rows: &[f32]) -> Living {
    let living = remove_dead(model, input, &file.weights).unwrap();
    let mut small = file.clone();
    small.network = living.model.to_string();
    small.weights.clone_from(&living.weights);
    let [whole, small] = [file, &small].map(|file| {
        let session = file.session_for(gpu, BATCH, input, &MaskUpdateOp::none()).unwrap();
        session.predict(rows).unwrap().values
    });
    let most = whole.iter().fold(1.0_f32, |most, v| most.max(v.abs()));
    for (i, (whole, small)) in whole.iter().zip(&small).enumerate() {
        // Sums of some hundred terms in another order, through a few layers.
        assert!((whole - small).abs() <= 500.0 * f32::EPSILON * most, "{i}: {small}, not {whole}");
    }
    living
}

fn shrunk(living: &Living) -> Vec<(&str, u32, u32)> {
    living.shrunk.iter().map(|s| (s.name.as_str(), s.units, s.kept)).collect()
}

/// Channels that nothing reads, that are a constant, before a pool, and that a batch norm makes a
/// constant; units behind an image; and what an LRN keeps.
#[test]
fn convolutions_lose_channels_that_are_dead() {
    let Some(gpu) = gpu() else { return };
    let conv = |outputs, padding| Conv::new(outputs, 3).padding(padding);
    let normed = conv(5, Padding::Valid).normalizer(Some(Normalizer::BatchNorm));
    let model = Model::Layers(vec![
        conv(6, Padding::Same).into(),
        Pool::max(2, 2, Padding::Same).into(),
        normed.into(),
        conv(4, Padding::Same).into(),
        Flatten {}.into(),
        Linear::new(7).into(),
        Linear::logits().into(),
    ]);
    let input = Input { shape: vec![10, 10, 2], task: Task::classification(3) };
    let mut of = file(gpu, &model, &input);
    let rows = Noise::new(8).floats(BATCH * 200, 1.0);
    assert_eq!(smaller(gpu, &model, &input, &of, &rows).model, model);
    // Of conv1 channel 0 is a constant, which conv2 has no bias to take; channel 1 a constant 0,
    // since its bias is below it; nobody reads channel 4.
    zero_columns(&mut of, "conv1.weight", &[0, 1]);
    let bias = of.weights.iter_mut().find(|t| t.name == "conv1.bias").unwrap();
    let TensorData::F32(values) = &mut bias.data else { panic!() };
    (values[0], values[1]) = (0.3, -0.4);
    zero_rows(&mut of, "conv2.weight", &[4], 6);
    // Of conv2 channels 2 and 3 are what their batch norm makes of 0: that is above 0 for channel 2,
    // and padding parts it from other zeros at the edges of conv3, so it stays. Of conv3 channel 3
    // is a constant that fc1 takes into its biases.
    zero_columns(&mut of, "conv2.weight", &[2, 3]);
    let shift = of.weights.iter_mut().find(|t| t.name == "conv2.norm.shift").unwrap();
    let TensorData::F32(values) = &mut shift.data else { panic!() };
    (values[2], values[3]) = (3.0, -1.0);
    zero_columns(&mut of, "conv3.weight", &[3]);
    let bias = of.weights.iter_mut().find(|t| t.name == "conv3.bias").unwrap();
    let TensorData::F32(values) = &mut bias.data else { panic!() };
    values[3] = 20.0;
    zero_rows(&mut of, "fc2.weight", &[5, 6], 7);
    // Every unit of fc1 is above 0, so that the outputs have all that goes into them.
    let bias = of.weights.iter_mut().find(|t| t.name == "fc1.bias").unwrap();
    let TensorData::F32(values) = &mut bias.data else { panic!() };
    values.fill(6.0);
    let living = smaller(gpu, &model, &input, &of, &rows);
    let mut found = shrunk(&living);
    found.sort_unstable();
    assert_eq!(found, [("conv1", 6, 4), ("conv2", 5, 4), ("conv3", 4, 3), ("fc1", 7, 5)]);
    let shape = |name: &str| &living.weights.iter().find(|t| t.name == name).unwrap().shape;
    assert_eq!(*shape("conv2.weight"), [3, 3, 4, 4]);
    assert_eq!(*shape("conv3.bias"), [3]);
    assert_eq!(*shape("fc1.weight"), [3 * 3 * 3, 5]);
    // The units of the last layer are the answers.
    let left = |living: &Living, name: &str| {
        living.left.iter().find(|(of, _)| of == name).map(|(_, why)| why.clone()).unwrap()
    };
    assert_eq!(left(&living, "fc2.weight"), "they are the answers");

    let lrn = LocalResponseNorm { radius: 2, bias: 1.0, alpha: 0.1, beta: 0.75 };
    let model = Model::Layers(vec![
        conv(6, Padding::Same).into(),
        lrn.into(),
        Flatten {}.into(),
        Linear::logits().into(),
    ]);
    let mut of = file(gpu, &model, &input);
    zero_rows(&mut of, "fc1.weight", &[2], 6);
    let living = smaller(gpu, &model, &input, &of, &rows);
    assert_eq!(living.model, model);
    assert!(left(&living, "conv1.weight").contains("needs all of them"), "{:?}", living.left);
}

/// Both halves of a gated layer, in a residual connection whose channels stay.
#[test]
fn gated_layers_lose_units_and_residual_connections_none() {
    let Some(gpu) = gpu() else { return };
    let inner: Vec<Layer> = vec![
        LayerNorm::default().into(),
        Gated::new(9).into(),
        Linear::new(6).activation(Activation::Identity).into(),
    ];
    let model = Model::Layers(vec![
        Linear::new(6).into(),
        Residual::new(inner).into(),
        Linear::logits().into(),
    ]);
    let input = Input::flat(5, 3);
    let mut of = file(gpu, &model, &input);
    zero_rows(&mut of, "fc2.weight", &[0, 8], 9);
    zero_columns(&mut of, "gated1.gate.weight", &[4]);
    zero_columns(&mut of, "gated1.up.weight", &[4]);
    zero_columns(&mut of, "fc1.weight", &[2]);
    let living = smaller(gpu, &model, &input, &of, &Noise::new(2).floats(BATCH * 5, 1.0));
    assert_eq!(shrunk(&living), [("gated1", 9, 6)]);
    let names: Vec<&str> = living.left.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["fc1.weight", "fc2.weight", "fc3.weight"]);
}

/// Units of recurrent layers whose cells stay zero, or whose states nobody reads.
#[test]
fn recurrent_layers_lose_units_that_are_dead() {
    let Some(gpu) = gpu() else { return };
    let task = Task::Classification { classes: 5, positions: 4 };
    let input = Input { shape: vec![4], task };
    let rows: Vec<f32> = (0..BATCH * 4).map(|i| (i * 7 % 5) as f32).collect();
    let head = || -> Layer { Linear::logits().into() };
    let lstm = Lstm::new(6).peepholes(true);
    let model = Model::Layers(vec![
        Embedding::new(3, false).into(),
        lstm.into(),
        Lstm::new(5).into(),
        head(),
    ]);
    let mut of = file(gpu, &model, &input);
    assert_eq!(smaller(gpu, &model, &input, &of, &rows).model, model);
    // Of lstm1 nothing moves the cell of unit 1, and nobody but itself reads unit 4.
    for name in ["lstm1.weight", "lstm1.bias"] {
        zero_columns(&mut of, name, &[6 + 1]);
    }
    let own = of.weights.iter().find(|t| t.name == "lstm1.weight").unwrap().clone();
    zero_rows(&mut of, "lstm1.weight", &[3 + 4], 9);
    let tensor = of.weights.iter_mut().find(|t| t.name == "lstm1.weight").unwrap();
    let (TensorData::F32(values), TensorData::F32(before)) = (&mut tensor.data, &own.data) else {
        panic!()
    };
    let itself = (3 + 4) * 24 + 2 * 6 + 4;
    values[itself] = before[itself];
    zero_rows(&mut of, "lstm2.weight", &[4], 11);
    // Of lstm2 nobody reads unit 0.
    zero_rows(&mut of, "lstm2.weight", &[6], 11);
    zero_rows(&mut of, "fc1.weight", &[0], 5);
    let living = smaller(gpu, &model, &input, &of, &rows);
    let mut found = shrunk(&living);
    found.sort_unstable();
    assert_eq!(found, [("lstm1", 6, 4), ("lstm2", 5, 4)]);

    let model = Model::Layers(vec![Embedding::new(3, false).into(), Gru::new(6).into(), head()]);
    let mut of = file(gpu, &model, &input);
    for name in ["gru1.candidate.weight", "gru1.candidate.bias"] {
        zero_columns(&mut of, name, &[3]);
    }
    zero_rows(&mut of, "fc1.weight", &[5], 6);
    for name in ["gru1.gates.weight", "gru1.candidate.weight"] {
        zero_rows(&mut of, name, &[3 + 5], 9);
    }
    let living = smaller(gpu, &model, &input, &of, &rows);
    assert_eq!(shrunk(&living), [("gru1", 6, 4)]);
}

#[test]
fn weights_must_fit_the_model() {
    let Some(gpu) = gpu() else { return };
    let (model, input) = (Model::mlp(&[4]), Input::flat(5, 3));
    let mut of = file(gpu, &model, &input);
    of.weights[0].shape.reverse();
    let name = of.weights[0].name.clone();
    let refused = remove_dead(&model, &input, &of.weights).unwrap_err().to_string();
    assert!(refused.contains(&name), "{refused}");
    of.weights.remove(0);
    let refused = remove_dead(&model, &input, &of.weights).unwrap_err().to_string();
    assert!(refused.contains(&name) && refused.contains("missing"), "{refused}");
}
