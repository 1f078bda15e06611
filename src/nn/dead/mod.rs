//! Taking dead units out of any network of layers: those that nothing reads, and those that are the
//! same number for every row, which the layer behind them takes into its biases.
mod constant;
mod layers;
mod recurrent;

use std::collections::{HashMap, HashSet};

use self::layers::resize;
use super::{Input, Model, Network};
use crate::graph::{Graph, Member, Op, Tied};
use crate::kernels::Activation;
use crate::storage::{Tensor, TensorData};
use crate::{Error, Result};

/// A network without its dead units.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Living {
    /// The smaller model.
    pub model: Model,
    /// Its weights, in the order of those that were given.
    pub weights: Vec<Tensor>,
    /// Layers that have lost units.
    pub shrunk: Vec<ShrunkLayer>,
    /// Weights whose units have to stay, each with the reason.
    pub left: Vec<(String, String)>,
}

/// A layer that has lost units.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShrunkLayer {
    /// Its name.
    pub name: String,
    /// Units that it had.
    pub units: u32,
    /// Units that it has.
    pub kept: u32,
}

/// `model` for rows of `input` with these `weights`, without its dead units: it computes the same,
/// but for the roundings of biases that constants are added to. Fully connected, gated and
/// convolutional layers lose units, and recurrent ones that another layer follows; an LRN, a layer
/// norm or a residual connection behind them keeps them all. A layer keeps one unit at least.
///
/// # Errors
/// Of the model; [`Error::Shape`] for weights that do not fit it.
pub fn remove_dead(model: &Model, input: &Input, weights: &[Tensor]) -> Result<Living> {
    let mut work = Work {
        layers: model.layers(),
        weights: weights
            .iter()
            .map(|w| Ok((w.name.clone(), Values::of(w)?)))
            .collect::<Result<_>>()?,
        shrunk: Vec::new(),
        left: Vec::new(),
    };
    let whole = model.network(1, input)?;
    work.check(&whole.graph)?;
    loop {
        let network = Model::Layers(work.layers.clone()).network(1, input)?;
        work.left.clear();
        if !work.pass(&network)? && !recurrent::pass(&mut work, &network.graph) {
            break;
        }
    }
    let Work { layers, weights: mut values, shrunk, left } = work;
    let model = if shrunk.is_empty() { model.clone() } else { Model::Layers(layers) };
    let tensor = |old: &Tensor| match values.remove(&old.name) {
        Some(Values { shape, values }) => {
            Tensor { name: old.name.clone(), shape, data: TensorData::F32(values) }
        }
        None => old.clone(),
    };
    Ok(Living { model, weights: weights.iter().map(tensor).collect(), shrunk, left })
}

/// A weight on the host.
#[derive(Debug, Clone, PartialEq)]
struct Values {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Values {
    fn of(tensor: &Tensor) -> Result<Self> {
        match &tensor.data {
            TensorData::F32(values) => {
                Ok(Self { shape: tensor.shape.clone(), values: values.clone() })
            }
            TensorData::U32(_) => Err(Error::shape(&tensor.name, "is not F32")),
        }
    }

    /// Leaves the elements that `stays` says, of a tensor one of whose axes loses some of `units`.
    fn keep(&mut self, stays: impl Fn(usize) -> bool, run: usize, [units, kept]: [usize; 2]) {
        let mut behind = 1;
        for extent in self.shape.iter_mut().rev() {
            let whole = behind * *extent;
            if run.is_multiple_of(behind) && whole.is_multiple_of(run * units) {
                *extent = *extent / units * kept;
                break;
            }
            behind = whole;
        }
        let mut place = 0..;
        self.values.retain(|_| stays(place.next().unwrap_or(0)));
    }
}

#[derive(Debug)]
struct Work {
    layers: Vec<super::layers::Layer>,
    weights: HashMap<String, Values>,
    shrunk: Vec<ShrunkLayer>,
    left: Vec<(String, String)>,
}

impl Work {
    fn check(&self, graph: &Graph) -> Result<()> {
        for p in graph.parameters().iter().filter(|p| !p.carried) {
            let shape: Vec<usize> = p.shape.dims().iter().map(|&d| d as usize).collect();
            match self.weights.get(&p.name) {
                Some(found) if found.shape == shape => {}
                Some(found) => {
                    let message = format!("{:?}, the model has {shape:?}", found.shape);
                    return Err(Error::shape(&p.name, message));
                }
                None => return Err(Error::shape(&p.name, "is missing")),
            }
        }
        Ok(())
    }

    /// The values of a parameter.
    fn values(&self, graph: &Graph, parameter: usize) -> &[f32] {
        let name = &graph.parameters()[parameter].name;
        self.weights.get(name).map_or(&[], |w| &w.values)
    }

    /// Takes the dead units of one group out; whether there was one.
    fn pass(&mut self, network: &Network) -> Result<bool> {
        let graph = &network.graph;
        let mut seen = HashSet::new();
        for (at, p) in graph.parameters().iter().enumerate() {
            if p.shape.rank() < 2 || !p.trainable || p.carried || seen.contains(&at) {
                continue;
            }
            let tied = match graph.tied(p.tensor, &[network.features, network.output]) {
                Ok(tied) => tied,
                Err(_) if !p.masked || recurrent::is_kernel(&self.layers, &p.name) => continue,
                Err(why) => {
                    let answers = why == "they go from block to block";
                    let why = if answers { "they are the answers".to_owned() } else { why };
                    self.left.push((p.name.clone(), why));
                    continue;
                }
            };
            let makers = tied.members.iter().filter(|m| m.reads.is_none());
            let makers: Vec<Member> = makers.copied().collect();
            seen.extend(makers.iter().map(|m| m.parameter));
            if tied.heads.is_some() {
                let why = "its layer has no setting for the channels of a head".to_owned();
                self.left.push((p.name.clone(), why));
                continue;
            }
            let dead = self.dead(graph, &tied, &makers);
            let kept = dead.iter().filter(|&&dead| !dead).count();
            if kept < dead.len() && self.take_out(graph, &tied, &makers, &dead)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Which units of a group are dead; what constant ones are is added to biases behind them.
    fn dead(&mut self, graph: &Graph, tied: &Tied, makers: &[Member]) -> Vec<bool> {
        let units = tied.units as usize;
        let all_zero = |this: &Self, members: &mut dyn Iterator<Item = &Member>| {
            let mut zero = vec![true; units];
            for member in members {
                for (i, &value) in this.values(graph, member.parameter).iter().enumerate() {
                    zero[member.spread.unit(i)] &= value == 0.0;
                }
            }
            zero
        };
        let trained = |m: &&Member| graph.parameters()[m.parameter].trainable;
        let weighs = |m: &&Member| trained(m) && graph.parameters()[m.parameter].shape.rank() > 1;
        let readers: Vec<Member> =
            tied.members.iter().filter(|m| m.reads.is_some()).copied().collect();
        let unread = all_zero(self, &mut readers.iter());
        let mute = all_zero(self, &mut makers.iter().filter(trained));
        let constant = all_zero(self, &mut makers.iter().filter(weighs));
        let lifts = lifts_zero(graph);
        let mut dead: Vec<bool> =
            (0..units).map(|u| (!readers.is_empty() && unread[u]) || (mute[u] && !lifts)).collect();
        for unit in (0..units).filter(|&u| constant[u]) {
            if !dead[unit] && dead.iter().filter(|&&dead| !dead).count() > 1 {
                dead[unit] = constant::fold(self, graph, makers, &readers, unit);
            }
        }
        if dead.iter().all(|&dead| dead) {
            dead[0] = false;
        }
        dead
    }

    /// Takes the units `dead` out of all that has them; whether the layers can be told so.
    fn take_out(
        &mut self,
        graph: &Graph,
        tied: &Tied,
        makers: &[Member],
        dead: &[bool],
    ) -> Result<bool> {
        let kept = dead.iter().filter(|&&dead| !dead).count() as u32;
        let parameter = |m: &Member| &graph.parameters()[m.parameter];
        let weights = makers.iter().map(parameter).filter(|p| p.trainable && p.shape.rank() > 1);
        let mut layers = self.layers.clone();
        let mut names = Vec::new();
        for p in weights {
            let layer = p.name.strip_suffix(".weight").unwrap_or(&p.name);
            // The two halves of a gated layer are one.
            let layer = layer.strip_suffix(".gate").or(layer.strip_suffix(".up")).unwrap_or(layer);
            if !names.contains(&layer.to_owned()) {
                if !resize(&mut layers, layer, kept) {
                    let why = format!("{layer} has no setting for the number of its units");
                    self.left.push((p.name.clone(), why));
                    return Ok(false);
                }
                names.push(layer.to_owned());
            }
        }
        for member in &tied.members {
            let name = &parameter(member).name;
            let Some(values) = self.weights.get_mut(name) else {
                return Err(Error::shape(name, "is missing"));
            };
            let units = [dead.len(), kept as usize];
            values.keep(|i| !dead[member.spread.unit(i)], member.spread.run as usize, units);
        }
        self.layers = layers;
        names.into_iter().for_each(|name| self.tell(name, tied.units, kept));
        Ok(true)
    }

    /// Takes note of a layer that has lost units.
    fn tell(&mut self, name: String, units: u32, kept: u32) {
        match self.shrunk.iter_mut().find(|layer| layer.name == name) {
            Some(layer) => layer.kept = kept,
            None => self.shrunk.push(ShrunkLayer { name, units, kept }),
        }
    }
}

/// Whether anything makes another number of 0.
fn lifts_zero(graph: &Graph) -> bool {
    graph.nodes().iter().any(|node| {
        let activation = match node.op {
            Op::Activate(op) => op.activation,
            Op::Matmul(op) => op.activation,
            Op::Conv2d(op) => op.activation,
            _ => Activation::Identity,
        };
        activation.apply(0.0) != 0.0
    })
}
