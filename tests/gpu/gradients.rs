//! Gradients: central differences against the gradient graph in f64, and that against the device.
use secateur::graph::{Conv2dOptions, Graph, Padding, Tensor, gradients};
use secateur::kernels::{Activation, Step, mask_words};
use secateur::nn::Network;

use crate::common::{Noise, Tol, gpu};
use crate::interpreter::{Given, Pair, evaluate};
use crate::network::OnDevice;

/// What a case is made of.
struct Case {
    network: Network,
    features: Vec<f32>,
    labels: Vec<u32>,
    rows: usize,
    parameters: Vec<Vec<f32>>,
    masks: Vec<Option<Vec<u32>>>,
    /// Longest sum of products, times the products that a value passes through.
    terms: usize,
}

impl Case {
    fn new(network: Network, classes: u32, rows: usize, terms: usize, seed: u64) -> Self {
        let mut noise = Noise::new(seed);
        let elements = |t: Tensor| network.graph.shape(t).elements().unwrap() as usize;
        let parameters = network.graph.parameters();
        Self {
            features: noise.floats(elements(network.features), 1.0),
            labels: noise.below(elements(network.labels), classes),
            rows,
            parameters: parameters.iter().map(|p| noise.floats(elements(p.tensor), 0.7)).collect(),
            masks: parameters
                .iter()
                .map(|p| {
                    p.masked.then(|| noise.words(mask_words(elements(p.tensor) as u32) as usize))
                })
                .collect(),
            terms,
            network,
        }
    }

    fn evaluate(&self, graph: &Graph, parameters: &[Vec<f64>], last: Tensor) -> Vec<Vec<Pair>> {
        let given = Given {
            features: &self.features,
            labels: &self.labels,
            rows: self.rows,
            parameters,
            masks: &self.masks,
        };
        evaluate(graph, &given, last)
    }

    fn parameters_f64(&self) -> Vec<Vec<f64>> {
        self.parameters.iter().map(|p| p.iter().map(|&w| w.into()).collect()).collect()
    }

    /// Gradients of every parameter by the gradient graph in f64.
    fn by_graph(&self) -> Vec<Vec<Pair>> {
        let mut graph = self.network.graph.clone();
        let wanted: Vec<Tensor> =
            gradients(&mut graph, self.network.loss).unwrap().into_iter().flatten().collect();
        let last = *wanted.iter().max().unwrap();
        let values = self.evaluate(&graph, &self.parameters_f64(), last);
        wanted.iter().map(|&w| values[w.index()].clone()).collect()
    }

    fn loss(&self, parameters: &[Vec<f64>]) -> f64 {
        let graph = &self.network.graph;
        let values = self.evaluate(graph, parameters, self.network.loss);
        values[self.network.loss.index()][0].0
    }

    /// The gradient graph against central differences of the loss; masked weights get a gradient
    /// too, which the optimizer drops, so only the kept ones are compared.
    fn check_differences(&self) -> Result<(), String> {
        const H: f64 = 1.0 / (1 << 17) as f64;
        let by_graph = self.by_graph();
        for (p, gradient) in by_graph.iter().enumerate() {
            let mut parameters = self.parameters_f64();
            for i in 0..gradient.len() {
                if self.masks[p].as_ref().is_some_and(|m| !secateur::kernels::bit(m, i)) {
                    continue;
                }
                let at = parameters[p][i];
                parameters[p][i] = at + H;
                let above = self.loss(&parameters);
                parameters[p][i] = at - H;
                let below = self.loss(&parameters);
                parameters[p][i] = at;
                let difference = (above - below) / (2.0 * H);
                // Truncation of order H^2 on losses of order 1, and roundoff of order u / H.
                let bound = 64.0 * H * H + 64.0 * f64::EPSILON / H;
                let error = (difference - gradient[i].0).abs();
                if error > bound {
                    let value = gradient[i].0;
                    return Err(format!(
                        "parameter {p} [{i}]: {value} by graph, {difference} by differences"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Gradients of every parameter, and the loss, by the device.
    fn by_device(&self) -> Option<(f32, Vec<Vec<f32>>)> {
        let gpu = gpu()?;
        let device = OnDevice::new(gpu, &self.network, |_, _, _, _, _| {});
        let step = Step { rows: self.rows as u32, ..Default::default() };
        device.upload_batch(&self.features, &self.labels, step);
        for (i, (values, mask)) in self.parameters.iter().zip(&self.masks).enumerate() {
            device.upload(device.parameters[i], values);
            if let (Some(slot), Some(bits)) = (device.masks[i], mask) {
                device.upload(slot, bits);
            }
        }
        device.run();
        let gradients = device.gradients.iter().map(|&g| device.read(g)).collect();
        Some((device.read(device.loss)[0], gradients))
    }

    fn check(&self) {
        self.check_differences().unwrap();
        let Some((loss, by_device)) = self.by_device() else { return };
        let values = self.evaluate(&self.network.graph, &self.parameters_f64(), self.network.loss);
        let (want, magnitude) = values.last().unwrap()[0];
        Tol::Sum { terms: self.terms, magnitude: &[magnitude] }.check(&[loss], &[want]).unwrap();
        for (p, (got, pairs)) in by_device.iter().zip(self.by_graph()).enumerate() {
            let (want, magnitude): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let tolerance = Tol::Sum { terms: self.terms, magnitude: &magnitude };
            tolerance.check(got, &want).unwrap_or_else(|e| panic!("parameter {p}: {e}"));
            // The comparison can fail: a gradient that lost one of its rows does.
            let broken: Vec<f32> = got.iter().map(|g| g * (1.0 - 0.5 / self.rows as f32)).collect();
            assert!(tolerance.check(&broken, &want).is_err(), "parameter {p}: no teeth");
        }
    }
}

fn layers(activation: Activation, batch: u32, widths: &[u32], masked: bool) -> Network {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(batch, widths[0]), graph.labels(batch));
    let mut x = features;
    for (i, pair) in widths.windows(2).enumerate() {
        let mut w = graph.parameter(format!("fc{i}.weight"), [pair[0], pair[1]]).unwrap();
        if masked {
            w = graph.apply_mask(w).unwrap();
        }
        let b = graph.parameter(format!("fc{i}.bias"), [pair[1]]).unwrap();
        let last = i + 2 == widths.len();
        let activation = if last { Activation::Identity } else { activation };
        x = graph.linear(x, w, Some(b), activation).unwrap();
    }
    let loss = graph.softmax_cross_entropy(x, labels).unwrap();
    let correct = graph.correct(x, labels).unwrap();
    let classes = widths[widths.len() - 1];
    Network { name: "test".into(), graph, features, labels, loss, losses: vec![], correct, classes }
}

#[test]
fn tanh_layers() {
    Case::new(layers(Activation::Tanh, 5, &[7, 11, 6, 3], false), 3, 5, 66, 1).check();
}

#[test]
fn relu_layers_with_a_partial_batch() {
    Case::new(layers(Activation::Relu, 9, &[5, 33, 4], false), 4, 6, 99, 2).check();
}

#[test]
fn masked_layers() {
    Case::new(layers(Activation::Tanh, 4, &[9, 10, 5], true), 5, 4, 40, 3).check();
}

#[test]
fn log_loss_of_one_logit() {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(8, 4), graph.labels(8));
    let w = graph.parameter("fc.weight", [4, 1]).unwrap();
    let b = graph.parameter("fc.bias", [1]).unwrap();
    let z = graph.linear(features, w, Some(b), Activation::Identity).unwrap();
    let loss = graph.log_loss(z, labels, 1e-7).unwrap();
    let correct = graph.correct(z, labels).unwrap();
    let classes = 2;
    let network = Network {
        name: "test".into(),
        graph,
        features,
        labels,
        loss,
        losses: vec![],
        correct,
        classes,
    };
    Case::new(network, classes, 8, 32, 4).check();
}

/// A tensor that is used twice: its gradient is a sum, and its gate cannot be fused.
#[test]
fn a_residual_connection() {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(6, 5), graph.labels(6));
    let w0 = graph.parameter("in.weight", [5, 8]).unwrap();
    let w1 = graph.parameter("mid.weight", [8, 8]).unwrap();
    let w2 = graph.parameter("out.weight", [8, 3]).unwrap();
    let x = graph.linear(features, w0, None, Activation::Tanh).unwrap();
    let y = graph.linear(x, w1, None, Activation::Tanh).unwrap();
    let sum = graph.add(x, y).unwrap();
    let z = graph.linear(sum, w2, None, Activation::Identity).unwrap();
    let loss = graph.softmax_cross_entropy(z, labels).unwrap();
    let correct = graph.correct(z, labels).unwrap();
    let classes = 3;
    let network = Network {
        name: "test".into(),
        graph,
        features,
        labels,
        loss,
        losses: vec![],
        correct,
        classes,
    };
    Case::new(network, classes, 6, 48, 5).check();
}

/// Two convolutions and a layer behind them, of images of 4 x 3 pixels and 2 channels.
fn convolutions(first: Conv2dOptions, second: Conv2dOptions, masked: bool) -> Network {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(3, 24), graph.labels(3));
    let mut x = graph.reshape(features, [3, 4, 3, 2]).unwrap();
    for (i, (options, kernel)) in [(first, [3, 2]), (second, [1, 2])].into_iter().enumerate() {
        let channels = *graph.shape(x).dims().last().unwrap() / options.groups;
        let shape = [kernel[0], kernel[1], channels, 4];
        let mut w = graph.parameter(format!("conv{i}.weight"), shape).unwrap();
        if masked {
            w = graph.apply_mask(w).unwrap();
        }
        let b = graph.parameter(format!("conv{i}.bias"), [4]).unwrap();
        x = graph.conv2d(x, w, Some(b), Activation::Tanh, options).unwrap();
    }
    let width = graph.shape(x).elements().unwrap() / 3;
    let x = graph.reshape(x, [3, width]).unwrap();
    let w = graph.parameter("fc.weight", [width, 3]).unwrap();
    let x = graph.linear(x, w, None, Activation::Identity).unwrap();
    let loss = graph.softmax_cross_entropy(x, labels).unwrap();
    let correct = graph.correct(x, labels).unwrap();
    let name = "test".into();
    Network { name, graph, features, labels, loss, losses: vec![], correct, classes: 3 }
}

#[test]
fn convolutions_of_every_kind() {
    let plain = Conv2dOptions::default();
    let valid = Conv2dOptions { padding: Padding::Valid, ..plain };
    let strided = Conv2dOptions { stride: [2, 1], ..plain };
    let dilated = Conv2dOptions { dilation: [1, 2], ..plain };
    let grouped = Conv2dOptions { groups: 2, ..plain };
    let depthwise = Conv2dOptions { groups: 4, stride: [1, 2], ..plain };
    let explicit = Conv2dOptions { padding: Padding::Explicit([[0, 2], [1, 0]]), ..plain };
    for (i, (first, second, masked)) in [
        (plain, valid, false),
        (strided, grouped, true),
        (dilated, depthwise, false),
        (explicit, strided, true),
    ]
    .into_iter()
    .enumerate()
    {
        Case::new(convolutions(first, second, masked), 3, 3, 60, i as u64).check();
    }
}

/// Along one axis, and the same as a convolution of one row.
#[test]
fn convolution_of_rank_1() {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(3, 22), graph.labels(3));
    let x = graph.reshape(features, [3, 11, 2]).unwrap();
    let w = graph.parameter("conv.weight", [3, 2, 4]).unwrap();
    let w = graph.apply_mask(w).unwrap();
    let options = Conv2dOptions { stride: [9, 2], dilation: [9, 2], ..Default::default() };
    let x = graph.conv1d(x, w, None, Activation::Tanh, options).unwrap();
    assert_eq!(graph.shape(x).dims(), [3, 6, 4]);
    let x = graph.reshape(x, [3, 24]).unwrap();
    let w = graph.parameter("fc.weight", [24, 3]).unwrap();
    let x = graph.linear(x, w, None, Activation::Identity).unwrap();
    let loss = graph.softmax_cross_entropy(x, labels).unwrap();
    let correct = graph.correct(x, labels).unwrap();
    let name = "test".into();
    let network =
        Network { name, graph, features, labels, loss, losses: vec![], correct, classes: 3 };
    Case::new(network, 3, 3, 100, 9).check();
}

#[test]
fn convolutions_name_what_does_not_fit() {
    let mut graph = Graph::default();
    let features = graph.features(2, 60);
    let x = graph.reshape(features, [2, 5, 3, 4]).unwrap();
    let w = graph.parameter("conv.weight", [3, 3, 4, 6]).unwrap();
    let five = graph.parameter("five", [5]).unwrap();
    let plain = Conv2dOptions::default();
    let mut refused = |x, w, bias, options, what: &str| {
        let error = graph.conv2d(x, w, bias, Activation::Relu, options).unwrap_err().to_string();
        assert!(error.contains("conv2d") && error.contains(what), "{error} lacks {what}");
    };
    refused(features, w, None, plain, "x [2, 60] has rank 2, not 4");
    refused(x, five, None, plain, "weight [5] has rank 1, not 4");
    refused(x, w, Some(five), plain, "bias [5] must be [6]");
    let with =
        |stride, dilation, padding, groups| Conv2dOptions { stride, dilation, padding, groups };
    let same = Padding::Same;
    refused(x, w, None, with([0, 1], [1, 1], same, 1), "stride [0, 1] must be 1 or more");
    refused(x, w, None, with([1, 1], [1, 0], same, 1), "dilation");
    refused(x, w, None, with([1, 1], [1, 1], same, 0), "groups");
    refused(x, w, None, with([1, 1], [1, 1], same, 2), "4 channels and weight 4 for each of 2");
    refused(x, w, None, with([1, 1], [2, 2], Padding::Valid, 1), "does not fit images of [5, 3]");
    let error = graph.conv1d(x, w, None, Activation::Relu, plain).unwrap_err().to_string();
    assert!(error.contains("conv1d") && error.contains("rank 4, not 3"), "{error}");
    let error = graph.reshape(x, [2, 61]).unwrap_err().to_string();
    assert!(error.contains("[2, 5, 3, 4]") && error.contains("[2, 61]"), "{error}");
}
