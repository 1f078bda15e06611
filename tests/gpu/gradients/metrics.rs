//! Metrics of a graph on the device, and that no gradient goes through them.
use secateur::gpu::{Encoder, Gpu, PlanBuilder};
use secateur::graph::{Bindings, Graph, Mode, Tensor, gradients, lower};
use secateur::kernels::{
    STEP_WORDS, Step, absolute_error_reference, right_labels_reference, top_k_reference,
};

use crate::common::{Noise, U, gpu};

const BATCH: u32 = 70;
const ROWS: u32 = 67;

/// `metric` of given features and words of labels.
fn value(
    gpu: &Gpu,
    graph: &Graph,
    metric: Tensor,
    [features, labels]: [Tensor; 2],
    [x, y]: [&[u32]; 2],
) -> f32 {
    let mut plan = PlanBuilder::new(gpu.target());
    let step = plan.persistent("step", STEP_WORDS);
    let mut bindings = Bindings::new(graph, step);
    let slots = [(features, x), (labels, y)].map(|(tensor, words)| {
        let slot = plan.persistent("input", words.len() as u32);
        bindings.set(tensor, slot);
        slot
    });
    let out = plan.persistent("metric", 1);
    bindings.set(metric, out);
    let phase = plan.phase("test");
    lower(graph, &mut plan, &bindings, &[metric], Mode::Evaluate).unwrap();
    let program = plan.build(gpu).unwrap();
    slots.into_iter().zip([x, y]).for_each(|(slot, words)| program.upload(gpu, slot, words));
    program.upload(gpu, step, &[Step { rows: ROWS, ..Step::default() }]);
    program.poison_scratch(gpu);
    let mut encoder = Encoder::new(gpu);
    program.encode(phase, &mut encoder);
    encoder.submit().unwrap();
    program.download(gpu, out).unwrap()[0]
}

fn words(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn labels_among_the_highest_logits_are_counted() {
    let Some(gpu) = gpu() else { return };
    for positions in [1, 3] {
        let mut graph = Graph::default();
        let features = graph.features(BATCH, positions * 9);
        let (labels, logits) = match positions {
            1 => (graph.labels(BATCH), features),
            _ => {
                let logits = graph.reshape(features, [BATCH, positions, 9]).unwrap();
                (graph.position_labels(BATCH, positions), logits)
            }
        };
        let mut noise = Noise::new(positions.into());
        let x = noise.integers((BATCH * positions * 9) as usize, 3);
        let y = noise.below((BATCH * positions) as usize, 9);
        let of =
            |graph: &Graph, metric| value(gpu, graph, metric, [features, labels], [&words(&x), &y]);
        let valid = Step { rows: ROWS * positions, ..Step::default() };
        let mut counts = Vec::new();
        for k in [1, 3, 9] {
            let metric = graph.top_k(logits, labels, k).unwrap();
            let want: f32 = top_k_reference(&x, &y, 9, k as usize, &valid).iter().sum();
            counts.push(of(&graph, metric));
            assert_eq!(counts.last(), Some(&want), "{k} highest, {positions} positions");
        }
        let correct = graph.correct(logits, labels).unwrap();
        assert_eq!(of(&graph, correct), counts[0]);
        assert_eq!(counts[2], (ROWS * positions) as f32);
    }
}

#[test]
fn errors_and_right_labels_are_means_of_rows() {
    let Some(gpu) = gpu() else { return };
    let mut graph = Graph::default();
    let (features, targets) = (graph.features(BATCH, 10), graph.targets(BATCH, 10));
    let error = graph.absolute_error(features, targets).unwrap();
    let [deep, deep_targets] =
        [features, targets].map(|t| graph.reshape(t, [BATCH, 2, 5]).unwrap());
    let deep_error = graph.absolute_error(deep, deep_targets).unwrap();
    let right = graph.right_labels(features, targets).unwrap();
    let mut noise = Noise::new(1);
    let [x, t] = [2.0, 1.0].map(|scale| noise.floats(BATCH as usize * 10, scale));
    let [wide_x, wide_t] = [&x, &t].map(|x| x.iter().map(|&x| x.into()).collect::<Vec<f64>>());
    let step = Step { rows: ROWS, ..Step::default() };
    let errors = absolute_error_reference(&wide_x, &wide_t, BATCH as usize, &step);
    let shares = right_labels_reference(&wide_x, &wide_t, BATCH as usize, &step);
    for (metric, want) in [(error, &errors), (deep_error, &errors), (right, &shares)] {
        let got = value(gpu, &graph, metric, [features, targets], [&words(&x), &words(&t)]);
        let want: f64 = want.iter().sum();
        // A difference, 10 terms, a quotient, and the sum of 70 rows.
        assert!((f64::from(got) - want).abs() <= 90.0 * U * want, "{got}, want {want}");
    }
}

#[test]
fn no_gradient_goes_through_metrics() {
    let mut graph = Graph::default();
    let (features, labels) = (graph.features(2, 6), graph.labels(2));
    let targets = graph.targets(2, 6);
    let metrics = [
        graph.top_k(features, labels, 2).unwrap(),
        graph.absolute_error(features, targets).unwrap(),
        graph.right_labels(features, targets).unwrap(),
    ];
    for metric in metrics {
        let error = gradients(&mut graph, metric).unwrap_err().to_string();
        assert!(error.contains("is not the mean of a loss"), "{error}");
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let mut graph = Graph::default();
    let (features, targets) = (graph.features(2, 12), graph.targets(2, 6));
    let (labels, deep) = (graph.labels(2), graph.reshape(features, [2, 3, 4]).unwrap());
    let refused = |result: secateur::Result<Tensor>, op: &str, what: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(op) && error.contains(what), "{error} lacks {op} or {what}");
    };
    refused(graph.top_k(features, labels, 0), "top_k", "k is 0, must be 1 or more");
    refused(graph.top_k(features, targets, 1), "top_k", "are f32 targets");
    refused(graph.top_k(deep, labels, 1), "top_k", "[2, 3, 4] and labels [2] differ in rows");
    refused(graph.absolute_error(features, targets), "absolute_error", "[2, 6] differ");
    refused(graph.right_labels(features, targets), "right_labels", "[2, 6] differ");
    refused(graph.right_labels(deep, deep), "right_labels", "rank 3, not 2");
    let classes = graph.position_labels(2, 12);
    refused(graph.absolute_error(features, classes), "absolute_error", "are class numbers");
}
