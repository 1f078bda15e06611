//! Gradients: central differences against the gradient graph in f64, and that against the device.
mod cells;
mod convolutions;
mod dense;
mod distillation;
mod images;
mod layers;
mod losses;
mod metrics;
mod pretrained;
mod recurrent;
mod sequences;

use secateur::Gpu;
use secateur::data::Task;
use secateur::gpu::Target;
use secateur::graph::{Graph, Mode, Tensor, gradients};
use secateur::kernels::{Step, mask_words};
use secateur::nn::Ends;
use secateur::nn::Metric;
use secateur::nn::Network;

use crate::common::{Noise, Roundings, Tol, bounds, gpu, gpu_targets};
use crate::interpreter::{Given, evaluate};
use crate::network::OnDevice;

/// What a case is made of.
struct Case {
    network: Network,
    features: Vec<f32>,
    labels: Vec<u32>,
    step: Step,
    parameters: Vec<Vec<f32>>,
    masks: Vec<Option<Vec<u32>>>,
    /// Longest sum of products, times the products that a value passes through.
    terms: usize,
}

impl Case {
    fn new(network: Network, rows: usize, terms: usize, seed: u64) -> Self {
        let mut noise = Noise::new(seed);
        let elements = |t: Tensor| network.graph.shape(t).elements().unwrap() as usize;
        let parameters = network.graph.parameters();
        Self {
            features: noise.floats(elements(network.features), 1.0),
            labels: noise.below(elements(network.answers), network.task.classes().unwrap_or(2)),
            step: Step { rows: rows as u32, noise: 7, ..Default::default() },
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

    /// Features that are tokens.
    fn tokens(self, vocabulary: u32) -> Self {
        let tokens = Noise::new(3).below(self.features.len(), vocabulary);
        Self { features: tokens.iter().map(|&t| t as f32).collect(), ..self }
    }

    /// Labels that are targets in 0 to 1.
    fn targets(self) -> Self {
        let targets = Noise::new(4).floats(self.labels.len(), 0.5);
        Self { labels: targets.iter().map(|t| (t + 0.5).to_bits()).collect(), ..self }
    }

    fn evaluate(
        &self,
        graph: &Graph,
        parameters: &[Vec<f64>],
        last: Tensor,
        roundings: Option<Roundings>,
    ) -> Vec<Vec<f64>> {
        let given = Given {
            features: &self.features,
            labels: &self.labels,
            batch: self.network.batch() as usize,
            step: self.step,
            mode: Mode::Train,
            parameters,
            masks: &self.masks,
        };
        evaluate(graph, &given, last, roundings)
    }

    fn parameters_f64(&self) -> Vec<Vec<f64>> {
        self.parameters.iter().map(|p| p.iter().map(|&w| w.into()).collect()).collect()
    }

    /// Loss, and gradients of the parameters that have one, by the gradient graph in f64.
    fn by_graph(&self, roundings: Option<Roundings>) -> Vec<Vec<f64>> {
        let mut graph = self.network.graph.clone();
        let loss = self.network.loss;
        let gradients = gradients(&mut graph, loss).unwrap().into_iter().flatten();
        let wanted: Vec<Tensor> = [loss].into_iter().chain(gradients).collect();
        let last = *wanted.iter().max().unwrap();
        let values = self.evaluate(&graph, &self.parameters_f64(), last, roundings);
        wanted.iter().map(|&w| values[w.index()].clone()).collect()
    }

    fn loss(&self, parameters: &[Vec<f64>]) -> f64 {
        let graph = &self.network.graph;
        self.evaluate(graph, parameters, self.network.loss, None)[self.network.loss.index()][0]
    }

    /// Places of the parameters that have a gradient.
    fn trainable(&self) -> Vec<usize> {
        let parameters = self.network.graph.parameters().iter().enumerate();
        parameters.filter(|(_, p)| p.trainable).map(|(i, _)| i).collect()
    }

    /// The gradient graph against central differences of the loss; masked weights get a gradient
    /// too, which the optimizer drops, so only the kept ones are compared.
    fn check_differences(&self) {
        const H: f64 = 1.0 / (1 << 17) as f64;
        for (p, gradient) in self.trainable().into_iter().zip(&self.by_graph(None)[1..]) {
            let mut parameters = self.parameters_f64();
            for i in 0..gradient.len() {
                if self.masks[p].as_ref().is_some_and(|m| !secateur::kernels::bit(m, i)) {
                    continue;
                }
                let at = parameters[p][i];
                let mut loss_at = |offset: f64| {
                    parameters[p][i] = at + offset;
                    self.loss(&parameters)
                };
                let difference = (loss_at(H) - loss_at(-H)) / (2.0 * H);
                parameters[p][i] = at;
                // Truncation of order H^2 on losses of order 1, whose third derivatives
                // normalisation makes large, and roundoff of order u / H.
                let bound = 4096.0 * H * H + 64.0 * f64::EPSILON / H;
                let (error, value) = ((difference - gradient[i]).abs(), gradient[i]);
                assert!(
                    error <= bound,
                    "parameter {p} [{i}]: {value} by graph, {difference} by differences"
                );
            }
        }
    }

    /// Loss, and gradients of the parameters that have one, by the device.
    fn by_device(&self) -> Option<Vec<Vec<f32>>> {
        gpu().map(|gpu| self.by_device_of(gpu))
    }

    fn by_device_of(&self, gpu: &Gpu) -> Vec<Vec<f32>> {
        self.by_device_for(gpu, gpu.target())
    }

    fn by_device_for(&self, gpu: &Gpu, target: Target) -> Vec<Vec<f32>> {
        let device = OnDevice::for_target(gpu, target, &self.network, |_, _, _, _, _| {});
        device.upload_batch(&self.features, &self.labels, self.step);
        for (i, (values, mask)) in self.parameters.iter().zip(&self.masks).enumerate() {
            device.upload(device.parameters[i], values);
            if let (Some(slot), Some(bits)) = (device.masks[i], mask) {
                device.upload(slot, bits);
            }
        }
        device.run();
        let all = [device.loss].into_iter().chain(device.gradients.iter().copied());
        all.map(|slot| device.read(slot)).collect()
    }

    fn check(&self) {
        self.check_differences();
        self.check_device();
    }

    fn check_device(&self) {
        let Some(by_device) = self.by_device() else { return };
        self.check_values(&by_device);
    }

    /// The same as a GPU launches it.
    fn check_as_a_gpu(&self) {
        let Some(gpu) = gpu() else { return };
        self.check_values(&self.by_device_for(gpu, gpu_targets(gpu)[0]));
    }

    fn check_values(&self, by_device: &[Vec<f32>]) {
        let exact = self.by_graph(None);
        let rounded = |seed| self.by_graph(Some(Roundings::new(seed, self.terms)));
        let bounds = bounds(&exact, rounded);
        for (p, ((got, want), bounds)) in by_device.iter().zip(&exact).zip(&bounds).enumerate() {
            let tolerance = Tol::Within(bounds);
            tolerance.check(got, want).unwrap_or_else(|e| panic!("tensor {p}: {e}"));
            // The comparison can fail: a gradient that lost one of its rows does.
            let rows = self.step.rows as f32;
            let broken: Vec<f32> = got.iter().map(|g| g * (1.0 - 0.5 / rows)).collect();
            let zero = want.iter().all(|g| g.abs() < 1e-9);
            assert!(zero || tolerance.check(&broken, want).is_err(), "tensor {p}: no teeth");
        }
    }
}

/// A classifier of `logits`.
fn classifier(mut graph: Graph, [features, labels, logits]: [Tensor; 3], classes: u32) -> Network {
    let loss = graph.softmax_cross_entropy(logits, labels).unwrap();
    let correct = graph.correct(logits, labels).unwrap();
    let ends = Ends { features, answers: labels, output: logits, loss };
    let network = Network::new("test", graph, Task::classification(classes), ends);
    network.with_metric(Metric::Accuracy, correct)
}
