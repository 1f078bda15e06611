//! Whole steps of training in the launches of GPUs, whatever adapter runs them.
use secateur::gpu::{Choices, Encoder, Gpu, PlanBuilder, Slot, Target};
use secateur::graph::{Bindings, Mode, Stored, Tensor, Weight, gradients, lower};
use secateur::kernels::{Pruned, STEP_WORDS, mask_words};
use secateur::nn::{Input, Model};
use secateur::optim::{Optimizer, Update};

use crate::common::{Noise, gpu};

const BATCH: usize = 40;
const WIDTHS: [u32; 2] = [30, 5];

/// How gradients become weights.
#[derive(Clone, Copy, PartialEq)]
enum How {
    /// All that are alike by one launch.
    Together,
    /// Each by its own.
    Each,
}

/// What steps leave: launches of one by name, losses, numbers of right rows, and the parameters.
struct Trained {
    launches: Vec<String>,
    losses: Vec<f32>,
    right: Vec<f32>,
    parameters: Vec<Vec<f32>>,
}

/// Six steps of an MLP with masks on the same batch.
fn trained(gpu: &Gpu, target: Target, how: How) -> Trained {
    let [inputs, classes] = WIDTHS;
    let input = Input::flat(inputs as usize, classes);
    let network = Model::mlp(&[40, 12]).network(BATCH, &input).unwrap();
    let mut graph = network.graph.clone();
    let of = gradients(&mut graph, network.loss).unwrap();
    let adam = Optimizer::adam(0.01);
    let mut plan = PlanBuilder::new(target);
    let step = plan.persistent("step", STEP_WORDS);
    let mut bindings = Bindings::new(&graph, step);
    let words = |t: Tensor| graph.shape(t).elements().unwrap();
    let metric = network.metrics[0].1;
    let mut place = |plan: &mut PlanBuilder, name: &str, t: Tensor| {
        let slot = plan.persistent(name, words(t));
        bindings.set(t, slot);
        slot
    };
    let ends = [network.features, network.answers, network.loss, metric];
    let [features, labels, loss, right] = ends.map(|t| place(&mut plan, "end", t));
    let mut noise = Noise::new(3);
    let mut contents: Vec<(Slot, Vec<f32>)> = Vec::new();
    let mut masks: Vec<(Slot, Vec<u32>)> = Vec::new();
    let weights: Vec<Weight> = graph
        .parameters()
        .iter()
        .map(|p| {
            let len = words(p.tensor);
            let values = plan.persistent(&*p.name, len);
            contents.push((values, noise.floats(len as usize, 0.3)));
            let stored = if p.masked {
                let mask = plan.persistent("mask", mask_words(len));
                masks.push((mask, noise.words(mask_words(len) as usize)));
                Stored::pruned(values, mask, Pruned::Revive)
            } else {
                values.into()
            };
            bindings.set(p.tensor, stored);
            let slots = adam.slots().iter().map(|name| (*name, plan.persistent(*name, len)));
            Weight::new(&*p.name, p.shape.clone(), stored).with_slots(slots.collect())
        })
        .collect();
    let phase = plan.phase("train");
    let wanted: Vec<Tensor> =
        [network.loss, metric].into_iter().chain(of.into_iter().flatten()).collect();
    let slots = lower(&graph, &mut plan, &bindings, &wanted, Mode::Train).unwrap();
    let updates: Vec<Update> = weights
        .iter()
        .zip(&slots[2..])
        .map(|(weight, &gradient)| Update::new(weight.clone(), gradient, step))
        .collect();
    match how {
        How::Together => adam.push_all(&mut plan, &updates).unwrap(),
        How::Each => updates.iter().for_each(|update| adam.push(&mut plan, update).unwrap()),
    }
    let text = plan.to_string();
    let lines = text.lines().filter_map(|line| line.strip_prefix("  "));
    let launches = lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    let program = plan.build(gpu).unwrap();
    program.upload(gpu, features, &noise.floats(BATCH * inputs as usize, 1.0));
    program.upload(gpu, labels, &noise.below(BATCH, classes));
    contents.iter().for_each(|(slot, values)| program.upload(gpu, *slot, values));
    masks.iter().for_each(|(slot, words)| program.upload(gpu, *slot, words));
    let (mut losses, mut rights) = (Vec::new(), Vec::new());
    for t in 1..=6 {
        program.upload(gpu, step, &[adam.step(t, BATCH as u32 - 3)]);
        program.poison_scratch(gpu);
        let mut encoder = Encoder::new(gpu);
        program.encode(phase, &mut encoder);
        encoder.submit().unwrap();
        losses.extend(program.download::<f32>(gpu, loss).unwrap());
        rights.extend(program.download::<f32>(gpu, right).unwrap());
    }
    let parameters =
        contents.iter().map(|(slot, _)| program.download(gpu, *slot).unwrap()).collect();
    Trained { launches, losses, right: rights, parameters }
}

/// One launch for several nodes and parameters leaves the bits that a launch for each does; the
/// launches of software adapters are as they were, and train to nearly the same weights.
#[test]
fn a_step_in_few_launches_is_the_step() {
    let Some(gpu) = gpu() else { return };
    let any = Target::default();
    // Blocks sum no columns, so there weights and biases have launches of their own.
    let mut choices = Choices::default();
    assert!((0..Choices::PLACES).all(|place| choices.set(place, "blocks")));
    let apart = trained(gpu, Target { choices, ..any }, How::Each);
    let few = trained(gpu, any, How::Together);
    let count = |of: &Trained, name: &str| of.launches.iter().filter(|n| *n == name).count();
    let names = ["matmul", "cross_entropy_sums", "weight_gradient", "column_sum", "adam"];
    assert_eq!(names.map(|name| count(&few, name)), [5, 1, 3, 0, 1]);
    assert_eq!(names.map(|name| count(&apart, name)), [8, 1, 0, 3, 6]);
    let bits = |of: &Trained| {
        let all = of.parameters.iter().chain([&of.losses, &of.right]).flatten();
        all.map(|x| x.to_bits()).collect::<Vec<_>>()
    };
    assert!(bits(&few) == bits(&apart));
    assert!(bits(&few) == bits(&trained(gpu, any, How::Together)), "two runs differ");
    let software = trained(gpu, Target { software: true, ..any }, How::Together);
    let names = ["matmul", "softmax_cross_entropy", "pair_sum", "column_sum", "adam"];
    assert_eq!(names.map(|name| count(&software, name)), [8, 1, 1, 3, 6]);
    assert!(few.losses[5] < 0.97 * few.losses[0], "{:?}", few.losses);
    for (x, y) in few.losses.iter().zip(&software.losses) {
        assert!((x - y).abs() < 1e-5, "{:?} and {:?}", few.losses, software.losses);
    }
    // A rate of 0.01 moves a weight by some 0.06 in six steps; Adam divides by the root of a square,
    // so that roundings of a gradient near 0 may turn a move.
    let parameters = |of: &Trained| of.parameters.concat();
    let far = parameters(&few).into_iter().zip(parameters(&software));
    let far = far.filter(|(x, y)| (x - y).abs() > 1e-4).count();
    assert!(far <= 3, "{far} weights differ");
}
