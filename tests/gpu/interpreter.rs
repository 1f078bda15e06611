//! A graph evaluated on the host in f64, each value with a magnitude that scales its rounding error.
use secateur::graph::{Graph, Node, Op, Tensor};
use secateur::kernels::{Activation, Convolution, Form, bit};

/// A value, and the sum of the magnitudes of everything that went into it: f32 arithmetic in any
/// order is off by a few units of roundoff of the second.
pub type Pair = (f64, f64);

/// What is known before evaluation.
pub struct Given<'a> {
    pub features: &'a [f32],
    pub labels: &'a [u32],
    pub rows: usize,
    /// Values of each parameter.
    pub parameters: &'a [Vec<f64>],
    /// Mask of each parameter.
    pub masks: &'a [Option<Vec<u32>>],
}

/// Evaluates every node of `graph` up to `last`.
pub fn evaluate(graph: &Graph, given: &Given<'_>, last: Tensor) -> Vec<Vec<Pair>> {
    let mut values: Vec<Vec<Pair>> = Vec::new();
    let mut parameter = given.parameters.iter().zip(given.masks);
    let end = last.index();
    for node in &graph.nodes()[..=end] {
        let input = |i: usize| &values[node.inputs[i].index()];
        let value = match node.op {
            Op::Features => {
                given.features.iter().map(|&x| (x.into(), f64::from(x).abs())).collect()
            }
            Op::Labels => given.labels.iter().map(|&y| (y.into(), 0.0)).collect(),
            Op::Parameter => {
                let (values, mask) = parameter.next().unwrap();
                let kept = |i| mask.as_ref().is_none_or(|m| bit(m, i));
                let one = |(i, &w): (usize, &f64)| if kept(i) { (w, w.abs()) } else { (0.0, 0.0) };
                values.iter().enumerate().map(one).collect()
            }
            Op::Matmul { .. } => matmul(graph, node, &values),
            Op::Conv2d { form, shape, activation } => {
                conv2d(node, form, &shape, activation, &values)
            }
            Op::Reshape => input(0).clone(),
            Op::Gate { activation } => input(0)
                .iter()
                .zip(input(1))
                .map(|(g, y)| {
                    let slope = activation.slope(y.0);
                    (g.0 * slope, g.1 * (slope.abs() + y.1 * y.0.abs()))
                })
                .collect(),
            Op::Add => input(0).iter().zip(input(1)).map(|(x, y)| (x.0 + y.0, x.1 + y.1)).collect(),
            Op::ColumnSum => {
                let columns = node.shape.elements().unwrap() as usize;
                let mut sums = vec![(0.0, 0.0); columns];
                for (i, x) in input(0).iter().enumerate() {
                    let sum = &mut sums[i % columns];
                    *sum = (sum.0 + x.0, sum.1 + x.1);
                }
                sums
            }
            Op::SoftmaxCrossEntropy | Op::LogLoss { .. } => loss(node, input(0), given).0,
            Op::LossGradient => {
                let losses = &graph.nodes()[node.inputs[0].index()];
                loss(losses, &values[losses.inputs[0].index()], given).1
            }
            // No gradient goes through it.
            Op::Correct => Vec::new(),
        };
        values.push(value);
    }
    values
}

fn matmul(graph: &Graph, node: &Node, values: &[Vec<Pair>]) -> Vec<Pair> {
    let Op::Matmul { form, activation } = node.op else { unreachable!() };
    let [a, b] = [0, 1].map(|i| &values[node.inputs[i].index()]);
    let dims = |t: Tensor| graph.shape(t).dims().to_vec();
    let (m, n) = (node.shape.dims()[0] as usize, node.shape.dims()[1] as usize);
    let ad = dims(node.inputs[0]);
    let k = if form == Form::TN { ad[0] } else { ad[1] } as usize;
    let one = |x: usize| {
        let (i, j) = (x / n, x % n);
        let mut sum = node.inputs.get(2).map_or((0.0, 0.0), |&bias| values[bias.index()][j]);
        for t in 0..k {
            let a = a[if form == Form::TN { t * m + i } else { i * k + t }];
            let b = b[if form == Form::NT { j * k + t } else { t * n + j }];
            sum = (sum.0 + a.0 * b.0, sum.1 + a.1 * b.1);
        }
        // No activation here has a slope above 1.
        (activation.apply(sum.0), sum.1)
    };
    (0..m * n).map(one).collect()
}

fn conv2d(
    node: &Node,
    form: Form,
    shape: &Convolution,
    activation: Activation,
    values: &[Vec<Pair>],
) -> Vec<Pair> {
    let [a, b] = [0, 1].map(|i| &values[node.inputs[i].index()]);
    let mut sums: Vec<Pair> = match node.inputs.get(2) {
        Some(bias) => {
            let bias = &values[bias.index()];
            (0..node.shape.elements().unwrap() as usize).map(|i| bias[i % bias.len()]).collect()
        }
        None => vec![(0.0, 0.0); node.shape.elements().unwrap() as usize],
    };
    for [x, w, y] in shape.terms() {
        let (into, a, b) = match form {
            Form::NN => (y, a[x], b[w]),
            Form::NT => (x, a[y], b[w]),
            Form::TN => (w, a[x], b[y]),
        };
        sums[into] = (sums[into].0 + a.0 * b.0, sums[into].1 + a.1 * b.1);
    }
    sums.into_iter().map(|(sum, magnitude)| (activation.apply(sum), magnitude)).collect()
}

/// Losses of the rows and their gradients by the logits, both over the number of valid rows.
fn loss(node: &Node, logits: &[Pair], given: &Given<'_>) -> (Vec<Pair>, Vec<Pair>) {
    let classes = logits.len() / given.labels.len();
    let rows = given.rows as f64;
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for (i, (z, &label)) in logits.chunks(classes).zip(given.labels).enumerate() {
        let magnitude = z.iter().fold(0.0, |m: f64, z| m.max(z.1));
        if i >= given.rows {
            losses.push((0.0, 0.0));
            gradients.extend(z.iter().map(|_| (0.0, 0.0)));
        } else if let Op::LogLoss { epsilon } = node.op {
            let (e, y) = (f64::from(epsilon), f64::from(label));
            let p = 1.0 / (1.0 + (-z[0].0).exp());
            let (hit, miss) = (p + e, 1.0 - p + e);
            let value = -(y * hit.ln() + (1.0 - y) * miss.ln());
            losses.push((value / rows, (value.abs() + 1.0 + magnitude) / rows));
            let gradient = ((1.0 - y) / miss - y / hit) * p * (1.0 - p);
            gradients.push((gradient / rows, (gradient.abs() + 1.0 + magnitude) / rows));
        } else {
            let sum: f64 = z.iter().map(|z| z.0.exp()).sum();
            let value = sum.ln() - z[label as usize].0;
            losses.push((value / rows, (value.abs() + 1.0 + magnitude) / rows));
            gradients.extend(z.iter().enumerate().map(|(j, z)| {
                let p = z.0.exp() / sum;
                let hit = f64::from(u8::from(j == label as usize));
                ((p - hit) / rows, (p * (1.0 + magnitude) + hit) / rows)
            }));
        }
    }
    (losses, gradients)
}
