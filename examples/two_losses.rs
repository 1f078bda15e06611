//! Two losses in turn: a classifier with a second head on its first layer, which sees every other
//! batch. Only the parameters that reach a loss move with it.
//!
//! `cargo run --release --example two_losses`
use secateur::data::Task;
use secateur::graph::Graph;
use secateur::kernels::Activation;
use secateur::nn::Ends;
use secateur::nn::Metric;
use secateur::nn::Network;
use secateur::train::StepReturn;
use secateur::{
    Batches, Gpu, GpuOptions, MaskUpdateOp, Optimizer, Result, TrainOp, TrainOptions, digits, train,
};

const BATCH: u32 = 64;

fn network(width: u32, classes: u32) -> Result<Network> {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(BATCH, width), graph.labels(BATCH));
    let linear = |graph: &mut Graph, x, name: &str, shape: [u32; 2], activation| {
        let weight = graph.parameter(format!("{name}.weight"), shape)?;
        let weight = graph.apply_mask(weight)?;
        let bias = graph.parameter(format!("{name}.bias"), [shape[1]])?;
        graph.linear(x, weight, Some(bias), activation)
    };
    let lower = linear(&mut graph, features, "lower", [width, 64], Activation::Relu)?;
    let upper = linear(&mut graph, lower, "upper", [64, 64], Activation::Relu)?;
    let logits = linear(&mut graph, upper, "head", [64, classes], Activation::Identity)?;
    let early = linear(&mut graph, lower, "early", [64, classes], Activation::Identity)?;
    let loss = graph.softmax_cross_entropy(logits, labels)?;
    let early = graph.softmax_cross_entropy(early, labels)?;
    let correct = graph.correct(logits, labels)?;
    let ends = Ends { features, answers: labels, output: logits, loss };
    let task = Task::classification(classes);
    Ok(Network::new("digits with an early head", graph, task, ends)
        .with_loss("early", early)
        .with_metric(Metric::Accuracy, correct))
}

fn main() -> Result<()> {
    let gpu = Gpu::open(&GpuOptions::from_env()?)?;
    let data = digits();
    let network = network(data.train.width() as u32, 10)?;
    let batches = Batches::new(data.train, BATCH as usize, Some(1))?;
    let train_op = TrainOp::from_network(&gpu, network, Optimizer::adam(0.002), batches, 1)?;
    let options =
        TrainOptions::default().number_of_steps(Some(800)).train_step_fn(Some(Box::new(|step| {
            let early = step.global_step().is_multiple_of(2);
            step.train_on(if early { "early" } else { "" })?;
            if step.global_step() > 798 {
                // Waits for the device: only where the value is wanted.
                println!("{} loss {:.4}", if early { "early" } else { "main" }, step.loss()?);
            }
            Ok(StepReturn::default())
        })));
    let outcome = train(train_op, None, MaskUpdateOp::none(), options)?;
    let accuracy = outcome.session.evaluate(&data.test)?.accuracy().unwrap_or(0.0);
    println!("main head, {} steps: test accuracy {accuracy:.4}", outcome.global_step);
    Ok(())
}
