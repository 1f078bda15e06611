//! A graph evaluated on the host in f64, if asked for with roundings as f32 arithmetic makes them.
mod recurrent;

use secateur::graph::{Graph, Mode, Node, Op, Tensor, ops};
use secateur::kernels::*;

use crate::common::Roundings;

/// What is known before evaluation.
pub struct Given<'a> {
    pub features: &'a [f32],
    pub labels: &'a [u32],
    /// Rows of the batch, padding included.
    pub batch: usize,
    pub step: Step,
    pub mode: Mode,
    /// Values of each parameter.
    pub parameters: &'a [Vec<f64>],
    /// Mask of each parameter.
    pub masks: &'a [Option<Vec<u32>>],
}

/// Evaluates every node of `graph` up to `last`.
pub fn evaluate(
    graph: &Graph,
    given: &Given<'_>,
    last: Tensor,
    mut roundings: Option<Roundings>,
) -> Vec<Vec<f64>> {
    let mut values: Vec<Vec<f64>> = Vec::new();
    let mut parameter = given.parameters.iter().zip(given.masks);
    for node in &graph.nodes()[..=last.index()] {
        let mut inputs: Vec<Vec<f64>> =
            node.inputs.iter().map(|i| values[i.index()].clone()).collect();
        let exact = matches!(
            node.op,
            Op::Features(_)
                | Op::Labels(_)
                | Op::Constant(_)
                | Op::Parameter(_)
                | Op::Reshape(_)
                | Op::Slice(_)
                | Op::Pad(_)
                | Op::Embedding(_)
        );
        if let Some(roundings) = roundings.as_mut().filter(|_| !exact) {
            // Tokens are whole numbers.
            let tokens = usize::from(matches!(node.op, Op::EmbeddingGradient(_)));
            inputs.iter_mut().skip(tokens).for_each(|input| roundings.apply(input));
        }
        let mut value = match node.op {
            Op::Features(_) => given.features.iter().map(|&x| x.into()).collect(),
            Op::Labels(_) if node.name == "targets" => {
                given.labels.iter().map(|&t| f32::from_bits(t).into()).collect()
            }
            Op::Labels(_) => given.labels.iter().map(|&y| y.into()).collect(),
            Op::Constant(ops::Constant { at }) => {
                graph.constants()[at].iter().map(|&x| x.into()).collect()
            }
            Op::Parameter(_) => {
                let (values, mask) = parameter.next().unwrap();
                let kept = |i| mask.as_ref().is_none_or(|m| bit(m, i));
                let one = |(i, &w): (usize, &f64)| if kept(i) { w } else { 0.0 };
                values.iter().enumerate().map(one).collect()
            }
            _ => apply(graph, node, given, &inputs, &values),
        };
        if let Some(roundings) = roundings.as_mut().filter(|_| !exact) {
            roundings.apply(&mut value);
        }
        values.push(value);
    }
    values
}

fn apply(
    graph: &Graph,
    node: &Node,
    given: &Given<'_>,
    inputs: &[Vec<f64>],
    values: &[Vec<f64>],
) -> Vec<f64> {
    let len = node.shape.elements().unwrap() as usize;
    let input = |i: usize| inputs[i].as_slice();
    let evaluates = given.mode == Mode::Evaluate;
    match node.op {
        Op::Matmul(_) => matmul(graph, node, inputs),
        Op::Conv2d(ops::Conv2d { form, shape, activation }) => {
            conv2d(form, &shape, activation, len, inputs)
        }
        Op::Reshape(_) => input(0).to_vec(),
        Op::Slice(ops::Slice { section }) => slice_reference(&section, input(0)),
        Op::Pad(ops::Pad { section }) => pad_reference(&section, input(0)),
        Op::Rotary(ops::Rotary { shape, back }) => {
            rotary_reference(&shape, input(0), input(1), back)
        }
        Op::Gate(ops::Gate { activation }) => {
            input(0).iter().zip(input(1)).map(|(g, y)| g * activation.slope(*y)).collect()
        }
        Op::Activate(ops::Activate { activation }) => activate_reference(input(0), activation),
        Op::Dropout(_) if evaluates => input(0).to_vec(),
        Op::Dropout(ops::Dropout { rate, stream }) => {
            dropout_reference(input(0), &given.step, stream, rate)
        }
        Op::Add(_) => add_reference(input(0), input(1)),
        Op::Mul(_) => mul_reference(input(0), input(1)),
        Op::ColumnSum(_) => {
            let mut sums = vec![0.0; len];
            input(0).iter().enumerate().for_each(|(i, x)| sums[i % len] += x);
            sums
        }
        Op::Pool(ops::Pool { shape, pooling }) => pool_reference(&shape, pooling, input(0)),
        Op::PoolGradient(ops::PoolGradient { shape, pooling }) => {
            pool_gradient_reference(&shape, pooling, input(0), input(1))
        }
        Op::LrnScale(ops::LrnScale { lrn }) => lrn_scale_reference(&lrn, input(0)),
        Op::Lrn(ops::Lrn { lrn }) => lrn_reference(&lrn, input(0), input(1)),
        Op::LrnGradient(ops::LrnGradient { lrn }) => {
            lrn_gradient_reference(&lrn, input(0), input(1))
        }
        Op::Normalise(ops::Normalise { rows }) => normalise_reference(&rows, input(0)),
        Op::NormaliseGradient(ops::NormaliseGradient { rows }) => {
            normalise_gradient_reference(&rows, input(0), input(1))
        }
        Op::Softmax(_) => softmax_reference(input(0), *node.shape.dims().last().unwrap() as usize),
        Op::SoftmaxGradient(_) => {
            let columns = *node.shape.dims().last().unwrap() as usize;
            softmax_gradient_reference(input(0), input(1), columns)
        }
        Op::Moments(ops::Moments { shape }) => moments_reference(&shape, input(0), given.step.rows),
        Op::BatchNormalise(ops::BatchNormalise { shape, .. }) => {
            batch_normalise_reference(&shape, input(0), input(if evaluates { 2 } else { 1 }))
        }
        Op::BatchNormaliseGradient(ops::BatchNormaliseGradient { shape }) => {
            batch_normalise_gradient_reference(
                &shape,
                (input(0), input(1)),
                input(2),
                [input(3), input(4)],
                given.step.rows,
            )
        }
        Op::Embedding(_) => {
            let columns = *node.shape.dims().last().unwrap() as usize;
            embedding_reference(input(0), input(1), None, columns)
        }
        Op::EmbeddingGradient(_) => {
            let dims = [node.shape.dims()[0], node.shape.dims()[1]].map(|d| d as usize);
            embedding_gradient_reference(input(0), input(1), dims)
        }
        Op::Attention(ops::Attention { shape }) => {
            attention_reference(&shape, &attended(&shape, inputs).0)
        }
        Op::AttentionGradient(ops::AttentionGradient { shape }) => {
            let (of, gradient) = attended(&shape, inputs);
            let [mut queries, keys] = attention_gradient_reference(&shape, gradient, &of);
            queries.iter_mut().zip(keys).for_each(|(sum, x)| *sum += x);
            queries
        }
        Op::AttentionQueryGradient(ops::AttentionQueryGradient { shape }) => {
            let (of, gradient) = attended(&shape, inputs);
            attention_gradient_reference(&shape, gradient, &of)[0].clone()
        }
        Op::AttentionKeyGradient(ops::AttentionKeyGradient { shape }) => {
            let (of, gradient) = attended(&shape, inputs);
            attention_gradient_reference(&shape, gradient, &of)[1].clone()
        }
        Op::Lstm(shape) => recurrent::lstm(&shape, inputs, given.step.follows != 0, None).remove(0),
        Op::Gru(shape) => recurrent::gru(&shape, inputs, given.step.follows != 0, None).remove(0),
        Op::LstmGradient(_) | Op::GruGradient(_) => {
            recurrent_gradients(graph, node, given, inputs, values).swap_remove(0)
        }
        Op::RecurrentGradient(ops::RecurrentGradient { of }) => {
            let of_x = &graph.nodes()[node.inputs[0].index()];
            let inputs: Vec<Vec<f64>> =
                of_x.inputs.iter().map(|i| values[i.index()].clone()).collect();
            recurrent_gradients(graph, of_x, given, &inputs, values).swap_remove(1 + of)
        }
        Op::SquaredError(_) => {
            squared_error_reference(input(0), input(1), given.batch, &given.step).0
        }
        Op::SigmoidCrossEntropy(_) => {
            sigmoid_cross_entropy_reference(input(0), input(1), given.batch, &given.step).0
        }
        Op::SoftmaxCrossEntropy(_) | Op::LogLoss(_) => loss(node, input(0), given).0,
        Op::Distillation(op) => distilled(op, [input(0), input(2)], given).0,
        Op::LossGradient(_) => {
            let losses = &graph.nodes()[node.inputs[0].index()];
            let [x, y] = [0, 1].map(|i| values[losses.inputs[i].index()].as_slice());
            match losses.op {
                Op::SquaredError(_) => squared_error_reference(x, y, given.batch, &given.step).1,
                Op::SigmoidCrossEntropy(_) => {
                    sigmoid_cross_entropy_reference(x, y, given.batch, &given.step).1
                }
                Op::Distillation(op) => {
                    distilled(op, [x, values[losses.inputs[2].index()].as_slice()], given).1
                }
                _ => loss(losses, x, given).1,
            }
        }
        // No gradient goes through them.
        Op::Correct(_) | Op::TopK(_) | Op::AbsoluteError(_) | Op::RightLabels(_) => Vec::new(),
        Op::Features(_) | Op::Labels(_) | Op::Constant(_) | Op::Parameter(_) => unreachable!(),
        // What is in caches is no part of the graph: `pretrained::generate` holds it to attention.
        Op::Cache(_) | Op::CachedAttention(_) => unreachable!(),
    }
}

/// What attention reads, and the first input behind it, if there is one.
fn attended<'a>(shape: &Heads, inputs: &'a [Vec<f64>]) -> (AttendedValues<'a>, &'a [f64]) {
    let own = if shape.packed { 1 } else { 3 };
    let [queries, keys, values] = if shape.packed { [0; 3] } else { [0, 1, 2] };
    let seen = shape.masked.then(|| inputs[own].as_slice());
    let behind = inputs.get(own + usize::from(shape.masked)).map_or(&[][..], Vec::as_slice);
    let [queries, keys, values] = [queries, keys, values].map(|i| inputs[i].as_slice());
    (AttendedValues { queries, keys, values, seen }, behind)
}

/// Gradients of a recurrent layer by x and by its weights, for the node of that by x.
fn recurrent_gradients(
    graph: &Graph,
    node: &Node,
    given: &Given<'_>,
    inputs: &[Vec<f64>],
    values: &[Vec<f64>],
) -> Vec<Vec<f64>> {
    let layer = &graph.nodes()[node.inputs[1].index()];
    let mut operands: Vec<Vec<f64>> =
        layer.inputs.iter().map(|i| values[i.index()].clone()).collect();
    // As rounded for this node.
    operands[1..].iter_mut().zip(&inputs[2..]).for_each(|(to, from)| to.clone_from(from));
    let (follows, gradient) = (given.step.follows != 0, Some(inputs[0].as_slice()));
    match layer.op {
        Op::Lstm(shape) => recurrent::lstm(&shape, &operands, follows, gradient),
        Op::Gru(shape) => recurrent::gru(&shape, &operands, follows, gradient),
        _ => unreachable!(),
    }
}

fn matmul(graph: &Graph, node: &Node, inputs: &[Vec<f64>]) -> Vec<f64> {
    let Op::Matmul(ops::Matmul { form, activation, .. }) = node.op else { unreachable!() };
    let columns = |dims: &[u32]| *dims.last().unwrap() as usize;
    let n = columns(node.shape.dims());
    let m = node.shape.elements().unwrap() as usize / n;
    let wide = columns(graph.shape(node.inputs[0]).dims());
    let k = if form == Form::TN { inputs[0].len() / wide } else { wide };
    let one = |x: usize| {
        let (i, j) = (x / n, x % n);
        let bias = inputs.get(2).map_or(0.0, |bias| bias[j]);
        let term = |t: usize| {
            let a = inputs[0][if form == Form::TN { t * m + i } else { i * k + t }];
            a * inputs[1][if form == Form::NT { j * k + t } else { t * n + j }]
        };
        activation.apply(bias + (0..k).map(term).sum::<f64>())
    };
    (0..m * n).map(one).collect()
}

fn conv2d(
    form: Form,
    shape: &Convolution,
    activation: Activation,
    len: usize,
    inputs: &[Vec<f64>],
) -> Vec<f64> {
    let [a, b] = [&inputs[0], &inputs[1]];
    let mut sums: Vec<f64> = match inputs.get(2) {
        Some(bias) => (0..len).map(|i| bias[i % bias.len()]).collect(),
        None => vec![0.0; len],
    };
    for [x, w, y] in shape.terms() {
        match form {
            Form::NN => sums[y] += a[x] * b[w],
            Form::NT => sums[x] += a[y] * b[w],
            Form::TN => sums[w] += a[x] * b[y],
        }
    }
    sums.into_iter().map(|sum| activation.apply(sum)).collect()
}

/// Losses and gradient of the student's logits against the teacher's.
fn distilled(
    op: ops::Distillation,
    [logits, teacher]: [&[f64]; 2],
    given: &Given<'_>,
) -> (Vec<f64>, Vec<f64>) {
    let positions = (given.labels.len() / given.batch) as u32;
    let step = Step { rows: given.step.rows * positions, ..given.step };
    let settings = [op.temperature, op.share];
    distillation_reference(logits, teacher, given.labels, settings, &step)
}

/// Losses of the rows and their gradients by the logits, both over the number of valid rows.
fn loss(node: &Node, logits: &[f64], given: &Given<'_>) -> (Vec<f64>, Vec<f64>) {
    let classes = logits.len() / given.labels.len();
    let valid = given.labels.len() / given.batch * given.step.rows as usize;
    let rows = valid as f64;
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for (i, (z, &label)) in logits.chunks(classes).zip(given.labels).enumerate() {
        if i >= valid {
            losses.push(0.0);
            gradients.extend(z.iter().map(|_| 0.0));
        } else if let Op::LogLoss(ops::LogLoss { epsilon }) = node.op {
            let (e, y) = (f64::from(epsilon), f64::from(label));
            let p = 1.0 / (1.0 + (-z[0]).exp());
            let (hit, miss) = (p + e, 1.0 - p + e);
            losses.push(-(y * hit.ln() + (1.0 - y) * miss.ln()) / rows);
            gradients.push(((1.0 - y) / miss - y / hit) * p * (1.0 - p) / rows);
        } else {
            let Op::SoftmaxCrossEntropy(ops::SoftmaxCrossEntropy { smoothing }) = node.op else {
                unreachable!()
            };
            let s = f64::from(smoothing);
            let sum: f64 = z.iter().map(|z| z.exp()).sum();
            let target =
                |j| f64::from(u8::from(j == label as usize)) * (1.0 - s) + s / classes as f64;
            let along: f64 = z.iter().enumerate().map(|(j, z)| target(j) * z).sum();
            losses.push((sum.ln() - along) / rows);
            gradients.extend(z.iter().enumerate().map(|(j, z)| (z.exp() / sum - target(j)) / rows));
        }
    }
    (losses, gradients)
}
