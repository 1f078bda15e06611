//! A unit that reads nothing is one number for all rows: what it comes to behind its layer, and the
//! biases that take it.
use super::Work;
use crate::graph::{Graph, Layout, Member, Op, Tensor};
use crate::kernels::{Convolution, Form, Pooling};

/// Where a unit's number ends: a product that reads it, and what it is there.
struct End {
    product: Tensor,
    value: f64,
}

/// Adds what the constant `unit` of a group is worth to the biases of the one layer that reads it;
/// whether that can be done.
pub(super) fn fold(
    work: &mut Work,
    graph: &Graph,
    makers: &[Member],
    readers: &[Member],
    unit: usize,
) -> bool {
    let weighs = |m: &&Member| graph.parameters()[m.parameter].shape.rank() > 1;
    let trained = |m: &&Member| graph.parameters()[m.parameter].trainable;
    let weights: Vec<&Member> = makers.iter().filter(weighs).filter(trained).collect();
    let ([maker], [reader]) = (&weights[..], readers) else { return false };
    let Some(End { product, value }) = follow(work, graph, maker, unit) else { return false };
    let node = &graph.nodes()[product.index()];
    let parameter = &graph.parameters()[reader.parameter];
    if node.inputs.get(1) != Some(&parameter.tensor) {
        return false;
    }
    if value == 0.0 {
        return true;
    }
    let padded = matches!(node.op, Op::Conv2d(op) if op.shape.pad != [0, 0]
        || (0..2).any(|axis| reaches_over(&op.shape, axis)));
    let bias = node.inputs.get(2).and_then(|bias| parameter_of(graph, *bias));
    let Some(bias) = bias.filter(|_| !padded) else { return false };
    let outputs = graph.parameters()[bias].shape.elements().unwrap_or(1) as usize;
    let weight = work.values(graph, reader.parameter);
    let inputs = weight.len() / outputs.max(1);
    let mut sums = vec![0.0_f64; outputs];
    for (i, &w) in weight.iter().enumerate().filter(|(i, _)| reader.spread.unit(*i) == unit) {
        let output = match parameter.layout {
            Layout::InOut => i % outputs,
            Layout::OutIn => i / inputs,
        };
        sums[output] += value * f64::from(w);
    }
    let name = graph.parameters()[bias].name.clone();
    let Some(biases) = work.weights.get_mut(&name) else { return false };
    for (bias, sum) in biases.values.iter_mut().zip(sums) {
        *bias = (f64::from(*bias) + sum) as f32;
    }
    // Nothing reads it from now on.
    let name = parameter.name.clone();
    if let Some(weight) = work.weights.get_mut(&name) {
        let of_unit = |(i, _): &(usize, &mut f32)| reader.spread.unit(*i) == unit;
        weight.values.iter_mut().enumerate().filter(of_unit).for_each(|(_, w)| *w = 0.0);
    }
    true
}

/// Whether the last window reaches over the end of an axis.
fn reaches_over(shape: &Convolution, axis: usize) -> bool {
    let last = (shape.out[axis].max(1) - 1) * shape.stride[axis];
    last + (shape.kernel[axis].max(1) - 1) * shape.dilation[axis] + 1 > shape.size[axis]
}

/// The place among the parameters of what a node reads.
fn parameter_of(graph: &Graph, tensor: Tensor) -> Option<usize> {
    graph.parameters().iter().position(|p| p.tensor == tensor)
}

/// Follows a unit from the product that makes it to the one that reads it.
fn follow(work: &Work, graph: &Graph, maker: &Member, unit: usize) -> Option<End> {
    let weight = graph.parameters()[maker.parameter].tensor;
    let nodes = graph.nodes();
    let at = |tensor: Tensor| -> Vec<usize> {
        let reads = |i: &usize| nodes[*i].inputs.contains(&tensor);
        // Moments of a batch are for training.
        (0..nodes.len()).filter(reads).filter(|&i| !matches!(nodes[i].op, Op::Moments(_))).collect()
    };
    let units = maker.spread.units as usize;
    let of = |tensor: Tensor| -> Option<f64> {
        // Behind a flattened image there are more numbers than units.
        let all = Some(work.values(graph, parameter_of(graph, tensor)?));
        all.filter(|all| all.len() == units)?.get(unit).copied().map(f64::from)
    };
    let &[first] = &at(weight)[..] else { return None };
    let bias = nodes[first].inputs.get(2).map_or(Some(0.0), |&bias| of(bias))?;
    let mut value = match nodes[first].op {
        Op::Matmul(op) if op.forward => op.activation.apply(bias),
        Op::Conv2d(op) if op.form == Form::NN => op.activation.apply(bias),
        _ => return None,
    };
    let mut tensor = graph.tensor(first)?;
    loop {
        let &[next] = &at(tensor)[..] else { return None };
        let node = &nodes[next];
        if node.inputs.first() != Some(&tensor) {
            return None;
        }
        match node.op {
            Op::Activate(op) => value = op.activation.apply(value),
            Op::Reshape(_) | Op::Dropout(_) => {}
            Op::Pool(op) => {
                let whole = op.shape.pad == [0, 0] && (0..2).all(|a| !reaches_over(&op.shape, a));
                if op.pooling != Pooling::Max && !whole && value != 0.0 {
                    return None;
                }
            }
            Op::BatchNormalise(op) => {
                let running = work.values(graph, parameter_of(graph, node.inputs[2])?);
                if running.len() != 2 * units {
                    return None;
                }
                let [mean, variance] = [unit, units + unit].map(|i| f64::from(running[i]));
                value = (value - mean) / (variance + f64::from(op.shape.epsilon)).sqrt();
            }
            Op::Mul(_) => value *= of(node.inputs[1])?,
            Op::Add(_) => value += of(node.inputs[1])?,
            Op::Matmul(op) if op.forward => {
                return Some(End { product: graph.tensor(next)?, value });
            }
            Op::Conv2d(op) if op.form == Form::NN => {
                return Some(End { product: graph.tensor(next)?, value });
            }
            _ => return None,
        }
        tensor = graph.tensor(next)?;
    }
}
