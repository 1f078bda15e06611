//! A student that learns from a teacher's logits and from its labels.
use secateur::data::Task;
use secateur::gpu::PlanBuilder;
use secateur::graph::{Bindings, Graph, Init, Mode, Tensor, gradients, lower};
use secateur::kernels::{Activation, STEP_WORDS};
use secateur::nn::{Ends, Network};

use super::Case;

const BATCH: u32 = 3;
const POSITIONS: u32 = 2;
const CLASSES: u32 = 7;

/// How the teacher's logits are made.
#[derive(Clone, Copy, PartialEq)]
enum Teacher {
    /// By a weight that nothing moves.
    Alone,
    /// By a constant that has its outputs first.
    Constant,
    /// The student's are multiplied with them, and so the backward pass reads them too.
    Shared,
}

/// The nodes of a network, and of its teacher's logits.
fn network(teacher: Teacher, temperature: f32, share: f32) -> Network {
    let mut graph = Graph::default();
    let features = graph.features(BATCH, POSITIONS * 5);
    let labels = graph.position_labels(BATCH, POSITIONS);
    let x = graph.reshape(features, [BATCH, POSITIONS, 5]).unwrap();
    let a = graph.parameter("a.weight", [5, 4]).unwrap();
    let a = graph.apply_mask(a).unwrap();
    let y = graph.linear(x, a, None, Activation::Tanh).unwrap();
    let b = graph.parameter("b.weight", [4, CLASSES]).unwrap();
    let z = graph.linear(y, b, None, Activation::Identity).unwrap();
    let teachers = match teacher {
        Teacher::Constant => {
            let values = (0..5 * CLASSES).map(|i| (i as f32).sin()).collect();
            let w = graph.constant("teacher.weight", [CLASSES, 5], values).unwrap();
            graph.outputs_first(w).unwrap()
        }
        _ => graph.statistic("teacher.weight", [5, CLASSES], Init::Constant(0.0)).unwrap(),
    };
    let t = graph.linear(x, teachers, None, Activation::Identity).unwrap();
    let z = if teacher == Teacher::Shared { graph.mul(z, t).unwrap() } else { z };
    let loss = graph.distillation(z, t, labels, temperature, share).unwrap();
    let task = Task::Classification { classes: CLASSES, positions: POSITIONS as usize };
    Network::new("test", graph, task, Ends { features, answers: labels, output: z, loss })
}

#[test]
fn a_student_of_a_teacher() {
    for (seed, (teacher, temperature, share)) in [
        (Teacher::Alone, 1.0, 1.0),
        (Teacher::Constant, 2.0, 0.7),
        (Teacher::Shared, 0.5, 0.4),
        (Teacher::Alone, 3.0, 0.0),
    ]
    .into_iter()
    .enumerate()
    {
        let network = network(teacher, temperature, share);
        Case::new(network, 2, 100, seed as u64).check();
    }
}

/// The gradient is where the teacher's logits were, unless somebody else reads these.
#[test]
fn the_gradient_takes_the_teacher_s_place() {
    for teacher in [Teacher::Alone, Teacher::Shared] {
        let Network { mut graph, features, answers, loss, .. } = network(teacher, 1.0, 0.5);
        let wanted = gradients(&mut graph, loss).unwrap();
        assert!(wanted[..2].iter().all(Option::is_some), "the student learns");
        assert!(wanted[2..].iter().all(Option::is_none), "the teacher does not");
        let mut plan = PlanBuilder::default();
        let mut bindings = Bindings::new(&graph, plan.persistent("step", STEP_WORDS));
        let given = graph.parameters().iter().map(|p| p.tensor).chain([features, answers]);
        for tensor in given {
            let words = graph.shape(tensor).elements().unwrap();
            bindings.set(tensor, plan.persistent("given", words));
        }
        plan.phase("test");
        let wanted: Vec<Tensor> = wanted.into_iter().flatten().collect();
        lower(&graph, &mut plan, &bindings, &wanted, Mode::Train).unwrap();
        let text = plan.to_string();
        let copies = text.lines().filter(|line| line.trim().starts_with("rearrange")).count();
        assert_eq!(copies, usize::from(teacher == Teacher::Shared), "{text}");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let mut graph = Graph::default();
    let x = graph.features(2, 6);
    let labels = graph.position_labels(2, 3);
    let z = graph.reshape(x, [2, 3, 2]).unwrap();
    let t = graph.reshape(x, [2, 2, 3]).unwrap();
    let mut refused = |[z, t]: [Tensor; 2], [temperature, share]: [f32; 2], what: &str| {
        let error = graph.distillation(z, t, labels, temperature, share).unwrap_err().to_string();
        assert!(error.contains("distillation") && error.contains(what), "{error} lacks {what}");
    };
    refused([z, t], [1.0, 1.0], "logits [2, 3, 2] and the teacher's [2, 2, 3] differ");
    refused([t, t], [1.0, 1.0], "logits [2, 2, 3] and labels [2, 3] differ in rows");
    refused([z, z], [0.0, 1.0], "temperature 0 must be 0.001 to 1000");
    refused([z, z], [f32::NAN, 1.0], "temperature NaN must be");
    refused([z, z], [1.0, 1.5], "share 1.5 of the teacher must be 0 to 1");
}
