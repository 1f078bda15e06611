//! Which elements of which tensors belong to the same units of a network, as Torch-Pruning's
//! dependency groups do (Fang et al. 2023, arXiv 2301.12900): who takes out a unit takes all of
//! them out. Each operation says how units go through it (`Operation::units`).
use std::collections::BTreeMap;

use super::{Graph, Layout, Node, Op, Tensor, ops};

/// Where units are in a tensor: its element `e`, in row-major order, is one of the unit `e / run %
/// units`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Elements of a unit that lie one behind the other.
    pub run: u32,
    /// Number of units.
    pub units: u32,
}

impl Spread {
    /// Elements after which the first unit is met again.
    pub fn period(self) -> u32 {
        self.run.saturating_mul(self.units).max(1)
    }

    /// The unit of an element.
    pub fn unit(self, element: usize) -> usize {
        element / (self.run as usize).max(1) % (self.units as usize).max(1)
    }

    /// The same units where `times` as many elements of each lie one behind the other.
    pub(super) fn times(self, times: u32) -> Self {
        Self { run: self.run.saturating_mul(times), ..self }
    }
}

/// A parameter that has elements of units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Its place in [`Graph::parameters`].
    pub parameter: usize,
    /// Where they are in it.
    pub spread: Spread,
    /// What a product multiplies them with, where they are the weights of inputs: the units
    /// themselves.
    pub reads: Option<Tensor>,
}

/// Units that can be taken out of a graph one by one, each with what it has in every parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tied {
    /// Number of units.
    pub units: u32,
    /// Parameters that have elements of them, in the order of the graph's.
    pub members: Vec<Member>,
    /// Heads of queries in each unit, where the units are heads of keys with their queries.
    pub heads: Option<u32>,
}

/// One of the tensors of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// What it makes.
    Output,
    /// What it reads, by its place among the inputs.
    Input(usize),
}

/// A node that units have come to.
pub(super) struct Crossing<'a> {
    pub(super) graph: &'a Graph,
    pub(super) node: &'a Node,
    /// The node's output.
    pub(super) tensor: Tensor,
    /// The tensor of the node that has the units.
    pub(super) at: Place,
    /// Where they are in it.
    pub(super) spread: Spread,
}

/// How units go on from one tensor of a node to its others.
pub(super) enum Reach {
    /// They are in these tensors, too, and in no others.
    To(Vec<(Place, Spread)>),
    /// So many neighbours can only go together: they are one unit.
    Together(u32),
    /// The tensor has so many parts one behind the other, each with elements of all units.
    Parts(u32),
    /// None of them can be taken out.
    Fixed,
}

impl Crossing<'_> {
    /// Elements of one of the node's tensors.
    fn len(&self, place: Place) -> u32 {
        let tensor = match place {
            Place::Output => self.tensor,
            Place::Input(i) => self.node.inputs[i],
        };
        self.graph.shape(tensor).elements().unwrap_or(0)
    }

    /// Of operations that take all their tensors element by element, the shorter ones again and
    /// again.
    pub(super) fn alike(&self) -> Reach {
        let inputs = (0..self.node.inputs.len()).map(Place::Input);
        let mut reached = Vec::new();
        for place in inputs.chain([Place::Output]).filter(|&place| place != self.at) {
            let (len, Spread { run, .. }) = (self.len(place), self.spread);
            match () {
                () if len == 0 => return Reach::Fixed,
                () if len.is_multiple_of(self.spread.period()) => {
                    reached.push((place, self.spread));
                }
                // Each unit meets all of it.
                () if run.is_multiple_of(len) => {}
                () if len.is_multiple_of(run) => return Reach::Together(len / run),
                () => return Reach::Fixed,
            }
        }
        Reach::To(reached)
    }

    /// From its first input to its output and back, where units lie in them alike.
    pub(super) fn through(&self) -> Reach {
        match self.at {
            Place::Output => Reach::To(vec![(Place::Input(0), self.spread)]),
            Place::Input(0) => Reach::To(vec![(Place::Output, self.spread)]),
            Place::Input(_) => Reach::Fixed,
        }
    }

    /// The same where rows of `columns` are taken as a whole: they are in one unit each.
    pub(super) fn through_rows(&self, columns: u32) -> Reach {
        let run = self.spread.run;
        match () {
            () if run.is_multiple_of(columns) => self.through(),
            () if columns.is_multiple_of(run) => Reach::Together(columns / run),
            () => Reach::Fixed,
        }
    }

    /// The same where each of the last `columns` is taken on its own.
    pub(super) fn through_columns(&self, columns: u32) -> Reach {
        if columns.is_multiple_of(self.spread.period()) { self.through() } else { Reach::Fixed }
    }

    /// Of a product of `x`, a weight of so many inputs and outputs and perhaps a bias: units of its
    /// outputs are in the weight and the bias, those of its inputs in the weight.
    pub(super) fn product(&self, [inputs, outputs]: [u32; 2], layout: Layout) -> Reach {
        let (spread, period) = (self.spread, self.spread.period());
        let of_weight = |behind: u32| (Place::Input(1), spread.times(behind));
        match (self.at, layout) {
            (Place::Output, _) if outputs.is_multiple_of(period) => {
                let behind = if layout == Layout::InOut { 1 } else { inputs };
                let biases = (2..self.node.inputs.len()).map(|i| (Place::Input(i), spread));
                Reach::To([of_weight(behind)].into_iter().chain(biases).collect())
            }
            (Place::Input(0), _) if inputs.is_multiple_of(period) => {
                let behind = if layout == Layout::InOut { outputs } else { 1 };
                Reach::To(vec![of_weight(behind)])
            }
            _ => Reach::Fixed,
        }
    }
}

/// How a walk from one product to all that has the same units ends.
enum Walk {
    Done(Tied),
    /// So many neighbours are one unit, as an operation says that has this name.
    Together(u32, &'static str),
    /// So many parts have the same units.
    Parts(u32, &'static str),
    Fixed(String),
}

impl Graph {
    /// The units of the outputs of the product with `weight`, each with what it has in every
    /// parameter. What neighbours can only lose together is one unit: heads with all their
    /// channels, and with all queries that share them.
    ///
    /// # Errors
    /// Says where units go that cannot be taken out: to one of `ends`, or to an operation that needs
    /// all of them.
    pub fn tied(&self, weight: Tensor, ends: &[Tensor]) -> Result<Tied, String> {
        let multiplies = |n: &Node| n.inputs.get(1) == Some(&weight) && multiplies(n);
        let Some(product) = self.nodes.iter().position(multiplies).map(Tensor) else {
            return Err("no product multiplies with it".to_owned());
        };
        let extent = self.shape(product).dims().last().copied().unwrap_or(1);
        let mut spread = Spread { run: 1, units: extent };
        loop {
            let (times, run, by) = match self.walk(product, spread, ends) {
                Walk::Done(tied) => return Ok(tied),
                Walk::Fixed(why) => return Err(why),
                Walk::Together(times, by) => (times, spread.run.saturating_mul(times), by),
                Walk::Parts(times, by) => (times, spread.run, by),
            };
            let units = spread.units / times.max(1);
            if times < 2 || units < 2 || !spread.units.is_multiple_of(times) {
                return Err(format!("{by} takes all of them together"));
            }
            spread = Spread { run, units };
        }
    }

    fn walk(&self, from: Tensor, spread: Spread, ends: &[Tensor]) -> Walk {
        let name = |tensor: Tensor| &self.nodes[tensor.0].name;
        let mut found: BTreeMap<Tensor, Spread> = BTreeMap::new();
        let mut read_by: BTreeMap<Tensor, Tensor> = BTreeMap::new();
        // What keeps units from being taken apart; that they leave the graph says more, if they do.
        let mut stuck = None;
        let (mut open, mut heads) = (vec![(from, spread)], None);
        if spread.units < 2 {
            return Walk::Fixed("there is only one".to_owned());
        }
        while let Some((tensor, spread)) = open.pop() {
            match found.insert(tensor, spread) {
                Some(known) if known == spread => continue,
                Some(_) => {
                    stuck = Some(Walk::Fixed(format!("they meet others in {}", name(tensor))));
                    continue;
                }
                None => {}
            }
            if ends.contains(&tensor) {
                return Walk::Fixed("they go from block to block".to_owned());
            }
            let readers = self.readers(tensor);
            if matches!(self.nodes[tensor.0].op, Op::Parameter(_)) {
                if let n @ 2.. = readers.len() {
                    stuck = Some(Walk::Fixed(format!("{n} layers share {}", name(tensor))));
                }
                continue;
            }
            for (reader, at) in readers.into_iter().chain([(tensor, Place::Output)]) {
                let node = &self.nodes[reader.0];
                let crossing = Crossing { graph: self, node, tensor: reader, at, spread };
                let name = node.op.name();
                let end = match node.op.operation().units(&crossing) {
                    Reach::To(reached) => Ok(reached),
                    Reach::Together(times) => Err(Walk::Together(times, name)),
                    Reach::Parts(times) => Err(Walk::Parts(times, name)),
                    Reach::Fixed => Err(Walk::Fixed(format!("{name} needs all of them"))),
                };
                let reached = match end {
                    Ok(reached) => reached,
                    Err(end) => {
                        stuck.get_or_insert(end);
                        continue;
                    }
                };
                if let Op::Attention(ops::Attention { shape }) = node.op {
                    heads = Some(shape.heads / spread.units);
                }
                for (place, spread) in reached {
                    let other = match place {
                        Place::Output => reader,
                        Place::Input(i) => node.inputs[i],
                    };
                    if multiplies(node) && (at, place) == (Place::Input(0), Place::Input(1)) {
                        read_by.insert(other, tensor);
                    }
                    open.push((other, spread));
                }
            }
        }
        if let Some(stuck) = stuck {
            return stuck;
        }
        let member = |(parameter, p): (usize, &super::Parameter)| {
            let &spread = found.get(&p.tensor)?;
            Some(Member { parameter, spread, reads: read_by.get(&p.tensor).copied() })
        };
        let members = self.parameters.iter().enumerate().filter_map(member).collect();
        Walk::Done(Tied { units: spread.units, members, heads })
    }

    /// The nodes that read `tensor`, each with the place of it.
    fn readers(&self, tensor: Tensor) -> Vec<(Tensor, Place)> {
        let places = |(i, node): (usize, &Node)| {
            let inputs = node.inputs.clone().into_iter().enumerate();
            inputs
                .filter(move |(_, input)| *input == tensor)
                .map(move |(place, _)| (Tensor(i), Place::Input(place)))
        };
        self.nodes.iter().enumerate().flat_map(places).collect()
    }
}

/// Whether a node is a product of the forward pass.
fn multiplies(node: &Node) -> bool {
    node.op.operation().multiplies(node, 1, 1) > 0
}
