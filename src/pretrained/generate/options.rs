//! How text is generated.
use serde::Serialize;

use crate::pretrained::Input;
use crate::session::PackedWeights;
use crate::{Error, Result};

crate::settings::steps! {
    /// Settings of [`Pretrained::generator`](crate::pretrained::Pretrained::generator).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
    pub struct GenerateOptions {
        /// Most tokens of a sequence, its prompt among them: the caches have room for so many. At
        /// most the model's positions.
        pub positions: u32,
        /// Tokens of a prompt that go through the model at once, 128 if nobody says so. More of them
        /// take more memory; no bit of the results changes.
        pub part: u32,
        /// Which weights are packed on the device: by default those that the files have packed, and
        /// with [`PackedWeights::Always`] all that take fewer bytes so. A token costs less with them
        /// where many weights are zero, and a long prompt more.
        pub weights: PackedWeights,
    }
}

crate::settings::steps! {
    /// What chooses a token by its logits. The default takes the highest, of equal ones the first.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
    pub struct Sampling {
        /// Logits are divided by it, and tokens are drawn by the probabilities that follow; 1 where
        /// another of these is given.
        pub temperature: Option<f64>,
        /// So many of the highest are drawn from.
        pub top_k: Option<u32>,
        /// Of the most probable as many are drawn from as together have at least this probability.
        pub top_p: Option<f64>,
        /// Of the draws: the same seed draws the same tokens.
        pub seed: u64,
    }
}

impl GenerateOptions {
    /// For sequences of so many tokens at most.
    pub fn new(positions: u32) -> Self {
        Self { positions, part: 128, weights: PackedWeights::default() }
    }

    /// # Errors
    /// [`Error::Argument`] for none, or more positions than the model knows.
    pub(super) fn validate(&self, input: Input) -> Result<()> {
        let Input::Tokens { positions: known, .. } = input else { return Ok(()) };
        let Self { positions, part, .. } = *self;
        if !(1..=known).contains(&positions) {
            let message = format!("{positions}: the model knows 1 to {known}");
            return Err(Error::argument("positions", message));
        }
        if part == 0 {
            return Err(Error::argument("part", "0: one token at least goes through at once"));
        }
        Ok(())
    }

    /// Lengths of the parts that a sequence goes through in, longest first: a plan for each. A short
    /// rest of a prompt is not to cost what a long part does.
    pub(super) fn lengths(&self) -> Vec<u32> {
        let long = self.part.min(self.positions);
        let mut lengths = vec![long, long.div_ceil(8), 1];
        lengths.dedup();
        lengths
    }
}

impl Sampling {
    /// Whether tokens are drawn, and not the highest taken.
    pub fn draws(&self) -> bool {
        self.temperature.is_some() || self.top_k.is_some() || self.top_p.is_some()
    }

    /// # Errors
    /// [`Error::Argument`] for a value out of its range.
    pub fn validate(&self) -> Result<()> {
        let Self { temperature, top_k, top_p, .. } = *self;
        if let Some(t) = temperature.filter(|t| !(t.is_finite() && *t > 0.0)) {
            let message =
                format!("{t} must be above 0; leave it out for the most probable token each time");
            return Err(Error::argument("temperature", message));
        }
        if top_k == Some(0) {
            return Err(Error::argument("top_k", "0: one token at least is drawn from"));
        }
        if let Some(p) = top_p.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
            let message = format!("{p} must be above 0 and at most 1");
            return Err(Error::argument("top_p", message));
        }
        Ok(())
    }
}
