//! Cutting dead units out of a pruned network: a smaller one that computes the same.
use super::Model;
use crate::{Error, Result};

/// A fully connected layer on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    /// `[inputs, outputs]`, row by row.
    pub weight: Vec<f32>,
    /// `[outputs]`
    pub bias: Vec<f32>,
}

/// A network without its dead units.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Shrunk {
    /// The smaller model.
    pub model: Model,
    /// Its layers, `fc1` first.
    pub layers: Vec<Dense>,
    /// For each hidden layer the units that stay, by their places in the whole one.
    pub kept: Vec<Vec<u32>>,
}

/// `model` and its `layers` without the hidden units that are dead.
///
/// A unit that nothing reads (its row of the next weight is zero) is dropped. One that reads
/// nothing (its column is zero) is the constant `relu(bias)`, which goes into the biases of the
/// next layer, summed in f64 and rounded once. Either may make others dead, so this goes on until
/// none is. The features stay, as they are the data's, and so do the classes. A layer without a
/// living unit keeps one that nothing reads: a width of 0 is no layer.
///
/// # Errors
/// [`Error::Shape`] for layers that do not fit the model.
pub fn shrink(model: &Model, layers: &[Dense]) -> Result<Shrunk> {
    let Model::Mlp { hidden } = model else {
        let message = format!("knows fully connected networks (mlp:...), not {model}");
        return Err(Error::shape("shrink", message));
    };
    check(hidden, layers)?;
    let mut work = Work {
        layers: layers.to_vec(),
        biases: layers.iter().map(|l| l.bias.iter().map(|&b| f64::from(b)).collect()).collect(),
        kept: hidden.iter().map(|&units| (0..units).collect()).collect(),
    };
    // A pass backwards drops whole chains that nothing reads, one forwards those that read nothing.
    while (0..hidden.len()).rev().chain(0..hidden.len()).fold(false, |any, l| work.visit(l) | any) {
    }
    let Work { mut layers, biases, kept } = work;
    for (layer, biases) in layers.iter_mut().zip(biases) {
        layer.bias = biases.into_iter().map(|b| b as f32).collect();
    }
    let hidden: Vec<u32> = kept.iter().map(|units| units.len() as u32).collect();
    Ok(Shrunk { model: Model::mlp(&hidden), layers, kept })
}

fn check(hidden: &[u32], layers: &[Dense]) -> Result<()> {
    let wrong = |message: String| Err(Error::shape("shrink", message));
    if layers.len() != hidden.len() + 1 {
        let (have, want) = (layers.len(), hidden.len() + 1);
        return wrong(format!("{have} layers, the model has {want}"));
    }
    for (i, layer) in layers.iter().enumerate() {
        let (number, outputs) = (i + 1, layer.bias.len());
        if let Some(&want) = hidden.get(i).filter(|&&units| units as usize != outputs) {
            return wrong(format!("fc{number} has {outputs} biases, the model has {want} units"));
        }
        let (have, fits) = match i {
            0 => (layer.weight.len(), outputs > 0 && layer.weight.len().is_multiple_of(outputs)),
            _ => (layer.weight.len(), layer.weight.len() == layers[i - 1].bias.len() * outputs),
        };
        if !fits {
            return wrong(format!("fc{number} has {have} weights, no whole rows of {outputs}"));
        }
    }
    Ok(())
}

struct Work {
    layers: Vec<Dense>,
    /// In f64, for what is folded into them.
    biases: Vec<Vec<f64>>,
    kept: Vec<Vec<u32>>,
}

impl Work {
    /// Drops the dead units of hidden layer `l`; whether there were any.
    fn visit(&mut self, l: usize) -> bool {
        let units = self.biases[l].len();
        let outputs = self.biases[l + 1].len();
        let mut living = Vec::new();
        for unit in 0..units {
            let silent = self.layers[l].weight.iter().skip(unit).step_by(units).all(|&w| w == 0.0);
            let row = unit * outputs..(unit + 1) * outputs;
            let constant = self.biases[l][unit].max(0.0);
            let row = &mut self.layers[l + 1].weight[row];
            if silent {
                for (bias, w) in self.biases[l + 1].iter_mut().zip(row.iter_mut()) {
                    *bias += constant * f64::from(std::mem::take(w));
                }
            }
            if row.iter().any(|&w| w != 0.0) {
                living.push(unit);
            }
        }
        if living.is_empty() {
            living.push(0);
        }
        if living.len() == units {
            return false;
        }
        let columns = self.layers[l].weight.chunks_exact(units);
        let weight = columns.flat_map(|row| living.iter().map(|&u| row[u])).collect();
        self.layers[l].weight = weight;
        let rows = &self.layers[l + 1].weight;
        let next =
            living.iter().flat_map(|&u| rows[u * outputs..(u + 1) * outputs].iter().copied());
        self.layers[l + 1].weight = next.collect();
        self.biases[l] = living.iter().map(|&u| self.biases[l][u]).collect();
        self.kept[l] = living.iter().map(|&u| self.kept[l][u]).collect();
        true
    }
}
