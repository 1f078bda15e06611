//! Gradients made smaller before the optimizer sees them.
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::Update;
use crate::error::check;
use crate::gpu::PlanBuilder;
use crate::kernels::{Activate, Activation, ClipNorm, ClipValue, ColumnSum, GradientNorm};
use crate::settings::steps;
use crate::{Error, Result};

steps! {
    const
    /// Bounds on gradients, applied in this order, after the [multipliers](Multiplier). They see
    /// the gradients of the loss, weight decay left out. Gradients of pruned weights do not count
    /// in norms.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(default, deny_unknown_fields)]
    pub struct Clip {
        /// Largest magnitude of an element.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub value: Option<f32>,
        /// Largest L2 norm of each tensor's gradient; a longer one is scaled to it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub norm: Option<f32>,
        /// Largest L2 norm of all gradients together; longer ones are scaled by one factor.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub global_norm: Option<f32>,
    }
}

/// A factor on the gradients of some parameters; 0 leaves them only what weight decay does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Multiplier {
    /// A regular expression, found anywhere in the parameter's name.
    pub name: String,
    /// The factor, at least 0.
    pub factor: f32,
}

impl Clip {
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// # Errors
    /// [`Error::Argument`] names the bound that is not above 0.
    pub fn validate(&self) -> Result<()> {
        let bounds = [
            ("clip.value", self.value),
            ("clip.norm", self.norm),
            ("clip.global_norm", self.global_norm),
        ];
        let set = bounds.into_iter().filter_map(|(name, bound)| Some((name, bound?)));
        set.into_iter().try_for_each(|(name, bound)| {
            check(name, bound, bound.is_finite() && bound > 0.0, "above 0 and finite")
        })
    }

    /// Appends what clips the gradients of `all` to `plan`: nothing where nothing is asked for.
    ///
    /// In place, though mask updates may read the gradient later, and means of several batches live
    /// there: those rank by what the optimizer saw, and a mean is begun anew after it has been
    /// applied.
    ///
    /// # Errors
    /// [`Error::Plan`] from the kernels.
    pub(super) fn push(&self, plan: &mut PlanBuilder, all: &mut [Update]) -> Result<()> {
        let clips = !self.is_none() || all.iter().any(|u| u.multiplier != 1.0);
        // A penalty's gradient is added in place, too.
        if clips || all.iter().any(|u| u.weight.pull(u.gradient).is_some()) {
            part(plan, all)?;
        }
        if !clips {
            return Ok(());
        }
        let value = self.value;
        for u in all.iter().filter(|u| value.is_some() || u.multiplier != 1.0) {
            let (len, &Update { gradient, multiplier, .. }) = (u.weight.len, u);
            plan.push(ClipValue { gradient, len, multiplier, value })?;
        }
        if let Some(bound) = self.norm {
            for u in &*all {
                scale(plan, &u.weight.name, std::slice::from_ref(u), bound)?;
            }
        }
        match self.global_norm {
            Some(bound) if !all.is_empty() => scale(plan, "clip", all, bound),
            _ => Ok(()),
        }
    }
}

/// Appends what scales the gradients of `all` to the norm `bound` together.
fn scale(plan: &mut PlanBuilder, name: &str, all: &[Update], bound: f32) -> Result<()> {
    let rows = all.iter().map(|u| GradientNorm::chunks(u.weight.len)).sum();
    let (partials, mut first) = (plan.scratch(format!("{name}.squares"), rows), 0);
    for &Update { gradient, ref weight, .. } in all {
        let (mask, len) = (weight.stored.gradient_mask(), weight.len);
        plan.push(GradientNorm { gradient, mask, partials, first, len })?;
        first += GradientNorm::chunks(len);
    }
    let square = plan.scratch(format!("{name}.square"), 1);
    ColumnSum { x: partials, out: square, rows, columns: 1 }.push(plan)?;
    for &Update { gradient, ref weight, .. } in all {
        let len = weight.len;
        plan.push(ClipNorm { gradient, square, len, bound })?;
    }
    Ok(())
}

/// Gives each gradient that is also that of a parameter before (a sum of two hands its own on to
/// both) a copy.
///
/// # Errors
/// [`Error::Plan`] from the kernel.
fn part(plan: &mut PlanBuilder, all: &mut [Update]) -> Result<()> {
    for i in 1..all.len() {
        let (before, rest) = all.split_at_mut(i);
        let update = &mut rest[0];
        let (x, len) = (update.gradient, update.weight.len);
        if before.iter().any(|other| other.gradient == x) {
            let out = plan.scratch(format!("{}.gradient", update.weight.name), len);
            plan.push(Activate { x, activation: Activation::Identity, out, len })?;
            update.gradient = out;
        }
    }
    Ok(())
}

/// The factor of each of `names`, 1 where no multiplier is for it.
///
/// # Errors
/// [`Error::Argument`] for a multiplier whose expression is none or matches no name, whose factor
/// is out of its range, or that is for a name that another is for too.
pub(super) fn factors(multipliers: &[Multiplier], names: &[&str]) -> Result<Vec<f32>> {
    let mut factors: Vec<Option<&Multiplier>> = vec![None; names.len()];
    for multiplier in multipliers {
        let pattern = &multiplier.name;
        let regex = multiplier.regex()?;
        let mut found = false;
        for (name, factor) in names.iter().zip(&mut factors).filter(|(n, _)| regex.is_match(n)) {
            found = true;
            if let Some(Multiplier { name: other, .. }) = factor.replace(multiplier) {
                let message = format!(
                    "`{other}` and `{pattern}` both match {name}; make one of them narrower"
                );
                return Err(Error::argument("multipliers", message));
            }
        }
        if !found {
            let message = format!("`{pattern}` matches none of {}", names.join(", "));
            return Err(Error::argument("multipliers", message));
        }
    }
    Ok(factors.into_iter().map(|m| m.map_or(1.0, |m| m.factor)).collect())
}

impl Multiplier {
    pub(super) fn regex(&self) -> Result<Regex> {
        let Self { name, factor } = self;
        check("multipliers", factor, factor.is_finite() && *factor >= 0.0, "at least 0")?;
        Regex::new(name).map_err(|e| Error::argument("multipliers", format!("`{name}`: {e}")))
    }
}
