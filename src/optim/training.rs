//! Everything that decides how weights move.
use serde::{Deserialize, Serialize};

use super::clip::factors;
use super::{Clip, Multiplier, Optimizer, Schedule, Update};
use crate::Result;
use crate::error::check;
use crate::gpu::PlanBuilder;
use crate::kernels::Step;
use crate::settings::steps;

/// Name of the slot with a parameter's average.
pub const AVERAGE: &str = "average";

steps! {
    /// An optimizer, and what happens to the learning rate and the gradients before it and to the
    /// weights after it.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct Training {
        /// How gradients move the weights.
        pub optimizer: Optimizer,
        /// The learning rate by step.
        #[serde(default, skip_serializing_if = "Schedule::is_constant")]
        pub schedule: Schedule,
        /// Bounds on gradients.
        #[serde(default, skip_serializing_if = "Clip::is_none")]
        pub clip: Clip,
        /// Factors on the gradients of some parameters, before anything else.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub multipliers: Vec<Multiplier>,
        /// Share of an average of the weights that stays at a step, 0 to below 1: `average = d *
        /// average + (1 - d) * w`. Early steps `t` have `d = (1 + t) / (10 + t)` if that is less,
        /// and the first 0. Evaluation is by the averages.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub average: Option<f32>,
    }
}

impl From<Optimizer> for Training {
    fn from(optimizer: Optimizer) -> Self {
        let (schedule, clip) = (Schedule::default(), Clip::default());
        Self { optimizer, schedule, clip, multipliers: Vec::new(), average: None }
    }
}

impl From<&Optimizer> for Training {
    fn from(optimizer: &Optimizer) -> Self {
        Self::from(*optimizer)
    }
}

impl From<&Self> for Training {
    fn from(training: &Self) -> Self {
        training.clone()
    }
}

impl Training {
    /// Checks every setting that can be checked without a network.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] names the one that is out of its range.
    pub fn validate(&self) -> Result<()> {
        self.optimizer.validate()?;
        self.schedule.validate()?;
        self.clip.validate()?;
        self.multipliers.iter().try_for_each(|m| m.regex().map(|_| ()))?;
        match self.average {
            Some(decay) => {
                check("average", decay, (0.0..1.0).contains(&decay), "at least 0 and below 1")
            }
            None => Ok(()),
        }
    }

    /// Learning rate of the step that makes `global_step`, counted from 1.
    pub fn learning_rate(&self, global_step: u64) -> f32 {
        let rate = f64::from(self.optimizer.learning_rate());
        (rate * self.schedule.factor(global_step)) as f32
    }

    /// The scalars of the step that makes `global_step`, counted from 1, over `rows` valid rows.
    pub fn step(&self, global_step: u64, rows: u32) -> Step {
        let t = global_step as f64;
        let decay =
            |d: f32| if global_step <= 1 { 0.0 } else { f64::from(d).min((1.0 + t) / (10.0 + t)) };
        Step {
            learning_rate: self.learning_rate(global_step),
            average_decay: self.average.map_or(0.0, decay) as f32,
            ..self.optimizer.step(global_step, rows)
        }
    }

    /// Names of the tensors that are kept beside each parameter: the optimizer's, then `average`.
    pub fn slots(&self) -> Vec<&'static str> {
        let average = self.average.map(|_| AVERAGE);
        self.optimizer.slots().iter().copied().chain(average).collect()
    }

    /// The factor on each gradient of the parameters `names`.
    ///
    /// # Errors
    /// [`crate::Error::Argument`] for a multiplier that matches none of them, or one that another
    /// matches too.
    pub fn factors(&self, names: &[&str]) -> Result<Vec<f32>> {
        factors(&self.multipliers, names)
    }

    /// Appends the updates of one step to `plan`: what clips their gradients, then the optimizer's
    /// kernels.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] from the kernels.
    pub fn push(&self, plan: &mut PlanBuilder, mut updates: Vec<Update>) -> Result<()> {
        self.clip.push(plan, &mut updates)?;
        self.optimizer.push_all(plan, &updates)
    }
}
