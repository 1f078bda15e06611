//! Which tensors are pruned, and the sparsity that a total sparsity asks of each.
use super::choice::{Budget, Scope};
use super::entries::matches;
use super::pattern::{Form, Structure};
use super::role::is_ragged;
use super::schedule::pruned_count;
use super::spec::PruningSpec;
use crate::graph::{Graph, Layout, Parameter, Skips};
use crate::{Error, Result};

/// What a specification means for the parameters of one network.
#[derive(Debug, Clone)]
pub struct Targets {
    layers: Vec<Layer>,
    skipped: Vec<Skipped>,
    budget: Budget,
    initial: f64,
    target: f64,
    /// Parameters, and multiplications for a row of a batch, of what is never pruned.
    dense: [u64; 2],
}

/// A weight that stays dense, because M of a pattern N:M does not divide its inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Its name.
    pub name: String,
    /// Its inputs: the last extent but one.
    pub inputs: u32,
}

impl Skipped {
    /// All of them, for a message.
    pub(super) fn list(all: &[Self]) -> String {
        let one = |s: &Self| format!("{} with {} inputs", s.name, s.inputs);
        all.iter().map(one).collect::<Vec<_>>().join(", ")
    }
}

/// A tensor that is pruned.
#[derive(Debug, Clone)]
struct Layer {
    name: String,
    len: u64,
    /// Multiplications with each weight, for a row of a batch.
    uses: u64,
    /// Sum of its extents over their product: what Erdős-Rényi-kernel gives densities by.
    spread: f64,
    /// Its own target.
    own: Option<f64>,
    /// Which group it is ranked with.
    group: Option<usize>,
    structure: Structure,
}

impl Targets {
    /// The targets of `spec` for `parameters`; those without a mask are never pruned. Each weight
    /// of a matrix is taken to be multiplied with once for a row of a batch.
    ///
    /// # Errors
    /// As [`with_uses`](Self::with_uses).
    pub fn new(spec: &PruningSpec, parameters: &[Parameter]) -> Result<Self> {
        let uses = |p: &Parameter| u64::from(p.shape.rank() >= 2);
        Self::with_uses(spec, parameters, &parameters.iter().map(uses).collect::<Vec<_>>())
    }

    /// The targets of `spec` for `graph`, which reads batches of `batch` rows.
    ///
    /// # Errors
    /// As [`with_uses`](Self::with_uses).
    pub fn of(spec: &PruningSpec, graph: &Graph, batch: u32) -> Result<Self> {
        let uses = |p: &Parameter| graph.uses_of(p.tensor, batch);
        let parameters = graph.parameters();
        Self::with_uses(spec, parameters, &parameters.iter().map(uses).collect::<Vec<_>>())
    }

    /// As [`new`](Self::new), where each weight of a parameter is multiplied with `uses` times for
    /// a row of a batch: those of a convolution once for each pixel of its result
    /// ([`Graph::uses_of`]).
    ///
    /// # Errors
    /// [`Error::Argument`] when nothing is left to prune, when an entry of a map or a group matches
    /// no tensor or one tensor is matched twice, and when `target_parameters` or `target_flops`
    /// cannot be met.
    pub fn with_uses(spec: &PruningSpec, parameters: &[Parameter], uses: &[u64]) -> Result<Self> {
        let all = parameters.iter().zip(uses);
        let masked: Vec<_> = all.clone().filter(|(p, _)| p.masked).collect();
        let names: Vec<&str> = masked.iter().map(|(p, _)| p.name.as_str()).collect();
        let own = own_targets(spec, &names)?;
        let groups = groups(spec, &names)?;
        let blocks = block_dims(spec, &names)?;
        let (mut layers, mut skipped) = (Vec::new(), Vec::new());
        for ((((parameter, uses), own), named), dims_of_blocks) in
            masked.iter().zip(own).zip(groups).zip(&blocks)
        {
            if spec.excludes(&parameter.name) || own == Some(0.0) {
                continue;
            }
            if let Some(inputs) = ragged_inputs(spec, parameter) {
                skipped.push(Skipped { name: parameter.name.clone(), inputs });
                continue;
            }
            let everything = (spec.scope == Scope::Global).then_some(usize::MAX);
            let dims = parameter.shape.dims();
            layers.push(Layer {
                name: parameter.name.clone(),
                len: elements(parameter),
                uses: **uses,
                spread: dims.iter().map(|&d| f64::from(d)).sum::<f64>()
                    / elements(parameter) as f64,
                own,
                group: if own.is_some() { None } else { named.or(everything) },
                structure: structure(spec, *dims_of_blocks, parameter),
            });
        }
        if layers.is_empty() && !skipped.is_empty() {
            let (pattern, all) = (spec.pattern, Skipped::list(&skipped));
            let message = format!("{pattern}: it divides the inputs of no weight: {all}");
            return Err(Error::argument("pattern", format!("{message}; take another M")));
        }
        if layers.is_empty() {
            let message = "every weight with a mask is excluded: nothing to prune";
            return Err(Error::argument("do_not_prune", message));
        }
        let dense = all.filter(|(p, _)| !layers.iter().any(|l| l.name == p.name));
        let parameters = dense.clone().filter(|(p, _)| p.trainable).map(|(p, _)| elements(p)).sum();
        let dense = [parameters, dense.map(|(p, uses)| elements(p) * uses).sum()];
        let (initial, target) = (spec.initial_sparsity, spec.target_sparsity);
        let mut this = Self { layers, skipped, budget: spec.budget, initial, target, dense };
        if let Some(parameters) = spec.target_parameters {
            this.target = this.solve("target_parameters", parameters, this.dense[0], |_| 1)?;
        }
        if let Some(flops) = spec.target_flops {
            // A multiplication and an addition.
            this.target = this.solve("target_flops", flops, 2 * this.dense[1], |l| 2 * l.uses)?;
        }
        Ok(this)
    }

    /// The sparsity to end at: `target_sparsity`, or what meets the target for the whole network.
    pub fn target(&self) -> f64 {
        self.target
    }

    /// Whether the weight `name` is pruned.
    pub fn prunes(&self, name: &str) -> bool {
        self.layers.iter().any(|l| l.name == name)
    }

    /// The weights that stay dense, because M of a pattern N:M does not divide their inputs.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// The tensors that are ranked together, each by its place among the pruned ones: the groups,
    /// in the order of their first tensors.
    pub fn selections(&self) -> Vec<Vec<usize>> {
        let mut selections: Vec<Vec<usize>> = Vec::new();
        for (i, layer) in self.layers.iter().enumerate() {
            let group = |s: &&mut Vec<usize>| self.layers[s[0]].group == layer.group;
            match selections.iter_mut().find(group).filter(|_| layer.group.is_some()) {
                Some(selection) => selection.push(i),
                None => selections.push(vec![i]),
            }
        }
        selections
    }

    /// What is kept or pruned as one in each pruned tensor.
    pub(super) fn structures(&self) -> impl Iterator<Item = &dyn Form> + '_ {
        self.layers.iter().map(|l| &*l.structure)
    }

    /// What products with `parameter` should leave out where the schedule has come to its end, by the
    /// pattern of its zeros.
    pub(crate) fn skips(&self, parameter: &Parameter) -> Skips {
        let sparsities = self.sparsities(self.target);
        let found = self.layers.iter().zip(sparsities).find(|(l, _)| l.name == parameter.name);
        let Some((layer, sparsity)) = found else { return Skips::default() };
        let [rows, columns] = layer.structure.together();
        let together = match parameter.layout {
            Layout::InOut => [rows, columns],
            Layout::OutIn => [columns, rows],
        };
        Skips::of(parameter.units(), together, sparsity)
    }

    /// The sparsity of each pruned tensor where the schedule stands at `total`; for the tensors of
    /// a group that of the group.
    ///
    /// A tensor with a target of its own is as far on its way, from `initial_sparsity` or from its
    /// target where that is lower, as `total` is on the way to its end.
    pub fn sparsities(&self, total: f64) -> Vec<f64> {
        let (from, to) = (self.initial, self.target);
        let way = if from == to { 1.0 } else { ((total - from) / (to - from)).clamp(0.0, 1.0) };
        let scale = match self.budget {
            Budget::Uniform => None,
            Budget::Erk => Some(self.erk_scale(1.0 - total)),
        };
        let sparsity = |layer: &Layer| match (layer.own, scale) {
            (Some(own), _) => from.min(own) + (own - from.min(own)) * way,
            (None, None) => total,
            (None, Some(scale)) => 1.0 - (scale * layer.spread).min(1.0),
        };
        self.layers.iter().map(sparsity).collect()
    }

    /// The factor that makes spreads densities, such that of all weights without a target of their
    /// own the share `density` stays. Tensors that it would make denser than dense stay dense, and
    /// the others get what these leave.
    fn erk_scale(&self, density: f64) -> f64 {
        let mut layers: Vec<&Layer> = self.layers.iter().filter(|l| l.own.is_none()).collect();
        layers.sort_by(|a, b| b.spread.total_cmp(&a.spread));
        let mut left = density * layers.iter().map(|l| l.len as f64).sum::<f64>();
        let mut scale = f64::INFINITY;
        for (i, layer) in layers.iter().enumerate() {
            let sum: f64 = layers[i..].iter().map(|l| l.spread * l.len as f64).sum();
            scale = left / sum;
            if scale * layer.spread <= 1.0 {
                break;
            }
            left -= layer.len as f64;
        }
        scale
    }

    /// The total sparsity at which `wanted` units of `field` are left: `dense` always, and `each`
    /// for a weight that stays.
    fn solve(
        &self,
        field: &str,
        wanted: u64,
        dense: u64,
        each: impl Fn(&Layer) -> u64,
    ) -> Result<f64> {
        let left = |total: f64| {
            let at_end = Self { target: total, ..self.clone() };
            let sparsities = at_end.sparsities(total);
            let kept = |(l, s): (&Layer, f64)| each(l) * (l.len - pruned_count(l.len, s));
            dense + self.layers.iter().zip(sparsities).map(kept).sum::<u64>()
        };
        let (most, least) = (left(0.0), left(1.0));
        if !(least..=most).contains(&wanted) {
            let message = format!(
                "{wanted} cannot be met: {least} are left when all is pruned that may be, \
                 {most} when nothing is"
            );
            return Err(Error::argument(field, message));
        }
        // 0 leaves at least what is wanted, 1 at most that.
        let (mut few, mut many) = (0.0, 1.0);
        while many - few > f64::EPSILON {
            let middle = f64::midpoint(few, many);
            if left(middle) >= wanted { few = middle } else { many = middle }
        }
        Ok(if left(many) == wanted { many } else { few })
    }
}

/// The inputs of `parameter` where M of a pattern N:M does not divide them: of a convolution its
/// channels, since a group is of one pixel of a kernel.
fn ragged_inputs(spec: &PruningSpec, parameter: &Parameter) -> Option<u32> {
    let [_, m] = spec.pattern.groups()?;
    let from_last = match parameter.layout {
        Layout::InOut => 1,
        Layout::OutIn => 0,
    };
    let inputs = parameter.shape.dims().iter().rev().nth(from_last).copied().unwrap_or(1);
    is_ragged(inputs as usize, m).then_some(inputs)
}

fn elements(parameter: &Parameter) -> u64 {
    parameter.shape.dims().iter().map(|&d| u64::from(d)).product()
}

/// The target that the map, or the rule for the first or last layer, gives each of `names`.
fn own_targets(spec: &PruningSpec, names: &[&str]) -> Result<Vec<Option<f64>>> {
    let mut own = vec![None; names.len()];
    if let Some(first) = own.first_mut() {
        *first = spec.first_layer_sparsity;
    }
    if let Some(last) = own.last_mut().filter(|_| spec.last_layer_sparsity.is_some()) {
        *last = spec.last_layer_sparsity;
    }
    if let Some(last) = own.last_mut() {
        *last = last.or(spec.pattern.last_target());
    }
    for (own, place) in own.iter_mut().zip(matches(&spec.weight_sparsity_map, names)?) {
        *own = place.map(|i| spec.weight_sparsity_map[i].sparsity).or(*own);
    }
    Ok(own)
}

/// The named group of each of `names`: the first entry of its name.
fn groups(spec: &PruningSpec, names: &[&str]) -> Result<Vec<Option<usize>>> {
    let groups = &spec.groups;
    let first = |i: usize| groups.iter().position(|g| g.name == groups[i].name);
    Ok(matches(groups, names)?.into_iter().map(|place| place.and_then(first)).collect())
}

/// Height and width of the blocks of each of `names`.
fn block_dims(spec: &PruningSpec, names: &[&str]) -> Result<Vec<[i64; 2]>> {
    let own = |i: usize| &spec.block_dims_map[i];
    let dims = |place: Option<usize>| {
        let own = place.map(own).map(|own| [own.height, own.width]);
        own.unwrap_or([spec.block_height, spec.block_width])
    };
    Ok(matches(&spec.block_dims_map, names)?.into_iter().map(dims).collect())
}

/// The pattern on `parameter`, taken as a matrix.
fn structure(spec: &PruningSpec, blocks: [i64; 2], parameter: &Parameter) -> Structure {
    spec.pattern.on(spec.scope, blocks, parameter.units())
}
