//! Which tensors a pruning in one shot is for, and why: told before anything is written.
use std::collections::BTreeMap;

use serde::Serialize;

use super::options::Options;
use super::units::Inputs;
use crate::prune::{Role, Taken, UNQUANTISED, is_ragged, is_rankable};
use crate::storage::{Dtype, TensorInfo};
use crate::{Error, Result};

/// What becomes of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Fate {
    /// Its weights are ranked, and the lowest become zero.
    Pruned,
    /// It is copied: it is no weight, or not asked for.
    Dense,
    /// It is a weight and copied: its inputs cannot be divided into groups of M, or it does not say
    /// which of its axes are the outputs that are to share their inputs.
    Skipped,
}

/// What a tensor is taken for, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TensorPlan {
    /// Name.
    pub name: String,
    /// Extents.
    pub shape: Vec<usize>,
    /// Type of its values.
    pub dtype: String,
    /// What it is taken for.
    pub role: Role,
    /// Why, and why it is pruned or not where something else than that decides.
    pub why: String,
    /// The axis of a weight's inputs, along which groups of N:M run.
    pub axis: Option<usize>,
    /// What becomes of it.
    pub fate: Fate,
}

/// All tensors of a file, or of a checkpoint of several.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Survey {
    /// Every tensor.
    pub tensors: Vec<TensorPlan>,
    /// What was decided without a name that says it, and what was asked for in vain.
    pub warnings: Vec<String>,
}

impl Survey {
    /// The names of what is not pruned, by what it is taken for.
    pub fn dense(&self) -> BTreeMap<Role, Vec<String>> {
        let mut dense: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for tensor in self.tensors.iter().filter(|t| t.fate != Fate::Pruned) {
            dense.entry(tensor.role).or_default().push(tensor.name.clone());
        }
        dense
    }

    /// Decides for `tensors`, taken for `taken`.
    ///
    /// # Errors
    /// [`Error::Argument`] where an expression does not compile, `include` matches nothing or
    /// nothing is left to prune, and for what cannot be pruned as it is stored: codes of a
    /// quantised weight, pairs of torch's pruning, doubles.
    pub(super) fn new(
        tensors: &[&TensorInfo],
        taken: Vec<Taken>,
        options: &Options,
    ) -> Result<Self> {
        let mut warnings = options.check_expressions(tensors)?;
        let plans = tensors.iter().zip(&taken).map(|(tensor, taken)| plan(tensor, taken, options));
        let plans: Vec<TensorPlan> = plans.collect::<Result<_>>()?;
        for (t, taken) in tensors.iter().zip(&taken) {
            refuse_stored(t, taken, options)?;
        }
        warnings.extend(undecided(&plans, &taken, options));
        warnings.extend(skipped(&plans, options));
        let unrankable = |(plan, tensor): &(&TensorPlan, &&TensorInfo)| {
            plan.fate == Fate::Dense && options.includes(&plan.name) && !is_rankable(&tensor.dtype)
        };
        let unrankable = plans.iter().zip(tensors).filter(unrankable).map(|(plan, _)| plan);
        if let Some(names) = listed(unrankable.map(|p| format!("{} ({})", p.name, p.dtype))) {
            warnings.push(format!("--include cannot rank what is no 16 or 32-bit float: {names}"));
        }
        if !plans.iter().any(|p| p.fate == Fate::Pruned) {
            return Err(nothing(&plans));
        }
        Ok(Self { tensors: plans, warnings })
    }
}

fn plan(tensor: &TensorInfo, taken: &Taken, options: &Options) -> Result<TensorPlan> {
    let (name, rank) = (&tensor.name, tensor.shape.len());
    let included = options.includes(name);
    let is_weight = taken.role == Role::Weight || included;
    let mut why = taken.reason.to_string();
    let mut fate = Fate::Dense;
    let mut axis = taken.axis;
    if is_weight && !options.admits(name) {
        let option = if options.excludes(name) { "--exclude" } else { "not matched by --only" };
        why = format!("{option}; {why}");
    } else if is_weight && !tensor.is_empty() && is_rankable(&tensor.dtype) {
        fate = Fate::Pruned;
        if taken.role != Role::Weight {
            why = format!("--include; {why}");
        }
        if let Some(asked) = options.axis {
            axis = of_rank(asked, name, rank)?;
            why = format!("{why}; --axis {asked}");
        }
        if let Some([n, m]) = options.pattern.groups() {
            let extent = tensor.shape.get(axis).copied().unwrap_or(1);
            if is_ragged(extent, m) {
                fate = Fate::Skipped;
                why = format!("{n}:{m}: {m} does not divide its {extent} inputs; {why}");
            }
        }
        if options.pattern.vectors().is_some() && Inputs::of(axis, rank).is_none() {
            fate = Fate::Skipped;
            why = format!("{}: which axis are its outputs? {why}", options.pattern);
        }
    }
    Ok(TensorPlan {
        name: name.clone(),
        shape: tensor.shape.clone(),
        dtype: tensor.dtype.to_string(),
        role: taken.role,
        why,
        axis: is_weight.then_some(axis),
        fate,
    })
}

/// The axis that `asked` is of a tensor of `rank` axes; from the last one where it is negative.
fn of_rank(asked: isize, name: &str, rank: usize) -> Result<usize> {
    let from_last = rank.checked_add_signed(asked.min(0)).filter(|_| asked < 0);
    let axis = from_last.or(usize::try_from(asked).ok()).filter(|&axis| axis < rank);
    axis.ok_or_else(|| {
        let message = format!("{asked}: {name} has {rank} axes; leave it out with --exclude");
        Error::argument("axis", message)
    })
}

/// Refuses a weight whose stored values are not those that a product takes.
fn refuse_stored(tensor: &TensorInfo, taken: &Taken, options: &Options) -> Result<()> {
    let name = &tensor.name;
    if !options.admits(name) {
        return Ok(());
    }
    let way_out = match (taken.role, &tensor.dtype) {
        (Role::Quantised, _) => UNQUANTISED,
        (Role::Pair, _) => {
            "make the pruning permanent first, with torch.nn.utils.prune.remove(module, name)"
        }
        (Role::Weight, Dtype::F64) => "only f32, f16 and bf16 are ranked: convert the file first",
        _ => return Ok(()),
    };
    let (role, why, dtype) = (taken.role, &taken.reason, &tensor.dtype);
    let message = format!("{name} ({dtype}) is taken for {role}: {why}; {way_out}");
    Err(Error::argument("input", format!("{message}; or leave it as it is with --exclude")))
}

/// What the names did not decide, and no option did.
fn undecided(plans: &[TensorPlan], taken: &[Taken], options: &Options) -> Vec<String> {
    let open = |role: fn(Role) -> bool| {
        let both = plans.iter().zip(taken).filter(|(p, t)| !t.certain && role(p.role));
        let asked = |p: &TensorPlan| options.includes(&p.name) || !options.admits(&p.name);
        let open = both.map(|(p, _)| p).filter(|p| !asked(p));
        listed(open.map(|p| format!("{} {:?}", p.name, p.shape)))
    };
    let weights = open(|role| role == Role::Weight).map(|names| {
        format!(
            "taken for weights by their shape, since their names say nothing: {names}; \
             --exclude leaves them dense, --axis says where the inputs are"
        )
    });
    let dense = open(|role| role != Role::Weight).map(|names| {
        format!("left dense, since their names say nothing: {names}; --include prunes them too")
    });
    weights.into_iter().chain(dense).collect()
}

/// The weights that a pattern leaves dense, all at once.
fn skipped(plans: &[TensorPlan], options: &Options) -> Option<String> {
    let ragged = plans.iter().filter(|p| p.fate == Fate::Skipped);
    let names = ragged.map(|p| {
        let axis = p.axis.unwrap_or_default();
        format!("{} {:?} along axis {axis}", p.name, p.shape)
    });
    let names = listed(names)?;
    let pattern = options.pattern;
    let what = match pattern.groups() {
        Some([_, m]) => format!("what {m} does not divide"),
        None => "tensors whose outputs could be more than one axis".to_owned(),
    };
    Some(format!("{pattern} skips {what}, which stays dense: {names}"))
}

/// The names of all, where there are any.
fn listed(names: impl Iterator<Item = String>) -> Option<String> {
    let names: Vec<String> = names.collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// That nothing is left to prune: what the tensors were taken for, weights first.
fn nothing(plans: &[TensorPlan]) -> Error {
    let some = |p: &&TensorPlan| format!("{} is {}: {}", p.name, p.role, p.why);
    let mut sorted: Vec<&TensorPlan> = plans.iter().collect();
    sorted.sort_by_key(|p| p.role != Role::Weight);
    let first: Vec<String> = sorted.iter().take(5).map(some).collect();
    let more = if plans.len() > 5 { ", and so on" } else { "" };
    let message = format!(
        "none of {} tensors is a weight that is asked for: {}{more}; \
         --include REGEX prunes what it is found in",
        plans.len(),
        first.join(", ")
    );
    Error::argument("include", message)
}
