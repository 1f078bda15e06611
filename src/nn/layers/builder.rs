//! A graph on its way from the batch's features to the logits.
use std::collections::BTreeMap;

use crate::graph::{Graph, Init, RotaryScaling, Shape, Tensor, rotary_frequencies};
use crate::{Error, Result};

/// What layers append to.
#[derive(Debug)]
pub struct Builder {
    /// The graph so far.
    pub graph: Graph,
    /// Rows of a batch.
    pub batch: u32,
    /// Answers of a row or position: classes, labels or values. Of a text these are the characters
    /// of its alphabet.
    pub answers: u32,
    /// How many layers of each kind have a name.
    named: BTreeMap<&'static str, u32>,
    /// Tables of rotary positions by the bits of their base, their pairs and their positions.
    turns: BTreeMap<[u32; 3], Tensor>,
}

impl Builder {
    pub(in crate::nn) fn new(batch: u32, answers: u32) -> Self {
        Self {
            graph: Graph::default(),
            batch,
            answers,
            named: BTreeMap::new(),
            turns: BTreeMap::new(),
        }
    }

    /// `name`, or the next of its kind: `fc1`, `fc2`, ...
    pub fn name(&mut self, name: Option<&str>, kind: &'static str) -> String {
        let number = self.named.entry(kind).or_default();
        *number += 1;
        name.map_or_else(|| format!("{kind}{number}"), str::to_owned)
    }

    /// A weight that a pruning may mask.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that is taken.
    pub fn weight(
        &mut self,
        name: &str,
        shape: impl Into<Shape>,
        init: Init,
        masked: bool,
    ) -> Result<Tensor> {
        let weight = self.graph.parameter_with(format!("{name}.weight"), shape, init)?;
        if masked { self.graph.apply_mask(weight) } else { Ok(weight) }
    }

    /// The table of [`Graph::rotary`], which all layers of these settings share.
    ///
    /// # Errors
    /// [`Error::Argument`] for a base that is not above 0.
    pub(super) fn rotary_table(&mut self, base: f32, pairs: u32, length: u32) -> Result<Tensor> {
        if !(base.is_finite() && base > 0.0) {
            return Err(Error::argument(
                "rotary_base",
                format!("{base} must be above 0 and finite"),
            ));
        }
        let key = [base.to_bits(), pairs, length];
        if let Some(&table) = self.turns.get(&key) {
            return Ok(table);
        }
        let frequencies = rotary_frequencies(base.into(), pairs, RotaryScaling::None);
        let table = self.graph.rotary_table(&frequencies, length)?;
        self.turns.insert(key, table);
        Ok(table)
    }

    /// Extents of `x`.
    pub fn dims(&self, x: Tensor) -> Vec<u32> {
        self.graph.shape(x).dims().to_vec()
    }

    /// Last extent of `x`: features of a row or position, channels of an image.
    pub fn width(&self, x: Tensor) -> u32 {
        self.graph.shape(x).dims().last().copied().unwrap_or(1)
    }
}
