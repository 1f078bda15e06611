//! What the weights of a block are multiplied with, and the statistics that are taken of it.
use std::collections::BTreeMap;

use super::inputs::{Inputs, WAY};
use super::options::{Method, PruneOptions};
use crate::Result;
use crate::gpu::{PlanBuilder, Slot};
use crate::graph::{Bindings, Graph, Mode, Tensor, lower};
use crate::kernels::InputNorm;
use crate::prune::layerwise::{FactorLayout, Gram};

/// A tensor that weights are multiplied with, and what is kept of it. Weights that share it share
/// this.
pub(super) struct Tap {
    /// The first of these weights.
    pub(super) name: String,
    /// The squared length of each input, or the moments of each pair of them.
    pub(super) statistics: Slot,
    /// What the host makes of the moments.
    pub(super) factor: Option<(Slot, FactorLayout)>,
}

impl Tap {
    /// Slots for the statistics that `method` asks for, of a tensor of so many columns.
    pub(super) fn new(
        plan: &mut PlanBuilder,
        (name, inputs): (&str, u32),
        method: Method,
        options: &PruneOptions,
    ) -> Self {
        let of = |what: &str| format!("{name}/{what}");
        let name = name.to_owned();
        if method != Method::SparseGpt {
            let statistics = plan.persistent(of("input_norm"), inputs);
            return Self { name, statistics, factor: None };
        }
        let layout = FactorLayout::new(inputs, options.pattern.groups().map(|[_, m]| m));
        // What is too large for a slot is refused where it is bound.
        let words = |words: u64| u32::try_from(words).unwrap_or(u32::MAX);
        let statistics = plan.persistent(of("moments"), words(u64::from(inputs).pow(2)));
        let factor = plan.persistent(of("factor"), words(layout.words()));
        Self { name, statistics, factor: Some((factor, layout)) }
    }
}

/// What each weight is multiplied with that is pruned, all but those called `dense`. Weights of one
/// input share it.
pub(super) fn inputs(
    graph: &mut Graph,
    seen: Option<Tensor>,
    dense: &[String],
) -> Result<BTreeMap<Tensor, Inputs>> {
    let (mut of, mut counted) = (BTreeMap::new(), BTreeMap::new());
    for p in graph.parameters().to_vec() {
        if !p.masked || dense.contains(&p.name) {
            continue;
        }
        let inputs = Inputs::of(graph, &p, WAY)?;
        let known = match counted.get(&inputs) {
            Some(&known) => known,
            None => inputs.counted(graph, seen)?,
        };
        counted.insert(inputs, known);
        of.insert(p.tensor, known);
    }
    Ok(of)
}

/// Appends what takes the statistics of all taps, and computes a further tensor, if there is one:
/// where that is.
pub(super) fn push_taps(
    plan: &mut PlanBuilder,
    (graph, bindings): (&Graph, &Bindings),
    taps: &BTreeMap<Inputs, Tap>,
    further: Option<Tensor>,
    (step, batch): (Slot, u32),
) -> Result<Option<Slot>> {
    let mut wanted: Vec<Tensor> = taps.keys().map(|inputs| inputs.tensor).collect();
    // Patches of several shapes may be of one tensor.
    wanted.dedup();
    wanted.extend(further);
    let slots = lower(graph, plan, bindings, &wanted, Mode::Evaluate)?;
    for (inputs, tap) in taps {
        let at = wanted.iter().position(|&tensor| tensor == inputs.tensor).unwrap_or(0);
        let (x, [rows, columns]) = inputs.rows(plan, graph, slots[at])?;
        match tap.factor {
            None => {
                let (norm, repeat) = (tap.statistics, rows / batch);
                plan.push(InputNorm { x, step, norm, rows, columns, repeat })?;
            }
            Some(_) => Gram { x, gram: tap.statistics, rows, columns }.push(plan)?,
        }
    }
    Ok(further.and_then(|_| slots.last().copied()))
}
