//! What a session's tensors hold: weights, masks, thresholds, sparsities. Each call waits for the
//! device.
use super::Session;
use super::variable::Variable;
use crate::gpu::Slot;
use crate::graph::Weight;
use crate::kernels::MaskState;
use crate::prune::{LayerSparsity, PrunedTensor};
use crate::{Error, Result};

/// Upstream's getters, under its names: one value for each pruned weight, with the weight's name.
impl Session {
    /// Masks: bit `i` of word `i / 32` is weight `i`, lowest bit first; bits past the end are
    /// clear.
    ///
    /// # Errors
    /// [`Error::DeviceLost`]; so for every getter.
    pub fn get_masks(&self) -> Result<Vec<(String, Vec<u32>)>> {
        self.of_pruned(|_, t| self.program.download(&self.gpu, t.mask()))
    }

    /// The highest score that the last update pruned, or with
    /// [`crate::prune::Threshold::Histogram`] the smoothed threshold; 0 before the first update.
    ///
    /// # Errors
    /// As [`get_masks`](Self::get_masks).
    pub fn get_thresholds(&self) -> Result<Vec<(String, f32)>> {
        self.of_pruned(|v, t| self.threshold(v, t.state))
    }

    /// Raw weights: in the modes `revive` and `freeze` the pruned ones have values too.
    ///
    /// # Errors
    /// As [`get_masks`](Self::get_masks).
    pub fn get_weights(&self) -> Result<Vec<(String, Vec<f32>)>> {
        self.of_pruned(|_, t| self.program.download(&self.gpu, t.weights()))
    }

    /// Weights as products see them: pruned ones are zero.
    ///
    /// # Errors
    /// As [`get_masks`](Self::get_masks).
    pub fn get_masked_weights(&self) -> Result<Vec<(String, Vec<f32>)>> {
        self.of_pruned(|_, t| self.weights(t.name()))
    }

    /// Share of clear bits in each mask. [`layers`](Self::layers) counts real zeros.
    ///
    /// # Errors
    /// As [`get_masks`](Self::get_masks).
    pub fn get_weight_sparsity(&self) -> Result<Vec<(String, f64)>> {
        self.of_pruned(|_, t| {
            let bits: Vec<u32> = self.program.download(&self.gpu, t.mask())?;
            let kept: u32 = bits.iter().map(|word| word.count_ones()).sum();
            Ok(1.0 - f64::from(kept) / f64::from(t.len()))
        })
    }

    fn of_pruned<T>(
        &self,
        get: impl Fn(&Variable, PrunedTensor) -> Result<T>,
    ) -> Result<Vec<(String, T)>> {
        let pruned = self.variables.iter().filter_map(|v| Some((v, v.pruned()?)));
        pruned.map(|(v, tensor)| Ok((v.weight.name.clone(), get(v, tensor)?))).collect()
    }

    fn threshold(&self, v: &Variable, state: Slot) -> Result<f32> {
        let states: Vec<MaskState> = self.program.download(&self.gpu, state)?;
        Ok(v.score.scoring().threshold(states[0].threshold))
    }
}

impl Session {
    /// What is left of each weight that a pruning may mask, counting real zeros; waits for the
    /// device.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub fn layers(&self) -> Result<Vec<LayerSparsity>> {
        let maskable = self.variables.iter().filter(|v| v.maskable);
        maskable
            .map(|v| {
                let Weight { name, shape, len, .. } = &v.weight;
                let weights = self.weights(name)?;
                let nonzero = weights.iter().filter(|&&w| w != 0.0).count() as u64;
                let threshold = v.mask.map(|m| self.threshold(v, m.state)).transpose()?;
                Ok(LayerSparsity {
                    name: name.clone(),
                    shape: shape.dims().to_vec(),
                    sparsity: 1.0 - nonzero as f64 / f64::from(*len),
                    nonzero,
                    threshold: threshold.unwrap_or(0.0),
                })
            })
            .collect()
    }

    /// Effective weights of the parameter `name`: pruned ones are zero. Waits for the device.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that the network does not have.
    pub fn weights(&self, name: &str) -> Result<Vec<f32>> {
        let v = self.variable(name)?;
        self.effective(v, v.weight.stored.values())
    }

    /// What [`evaluate`](Self::evaluate) uses for the parameter `name`: the average of its weights
    /// where [`Training::average`](crate::optim::Training::average) keeps one, or the weights;
    /// pruned ones are zero. Waits for the device.
    ///
    /// # Errors
    /// As [`weights`](Self::weights).
    pub fn average(&self, name: &str) -> Result<Vec<f32>> {
        let v = self.variable(name)?;
        self.effective(v, v.average().or(v.weight.stored.values()))
    }

    /// Replaces the weights of the parameter `name`, and their average where there is one; its mask
    /// stays, and in the mode `zero` the pruned ones stay zero.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that the network does not have, [`Error::Shape`] for another
    /// number of values than it has weights, and for weights that are packed.
    pub fn set_weights(&mut self, name: &str, values: &[f32]) -> Result<()> {
        let v = self.variable(name)?;
        let Weight { shape, len, stored, .. } = &v.weight;
        // Packed ones are what they were made of.
        v.weight.values()?;
        if values.len() != *len as usize {
            let message = format!("{} values for {shape}, which takes {len}", values.len());
            return Err(Error::shape(name, message));
        }
        let values = stored.admit(values, |mask| self.program.download(&self.gpu, mask))?;
        for slot in v.holders() {
            self.program.upload(&self.gpu, slot, &values);
        }
        self.uninitialised.retain(|other| other != name);
        Ok(())
    }

    /// Name of the first parameter that is not finite; `loss` when all are.
    pub(crate) fn first_non_finite(&self) -> Result<String> {
        for v in &self.variables {
            let values: Vec<f32> = match v.weight.stored.values() {
                Some(values) => self.program.download(&self.gpu, values)?,
                None => self.effective(v, None)?,
            };
            if values.iter().any(|w| !w.is_finite()) {
                return Ok(v.weight.name.clone());
            }
        }
        Ok("the loss".to_owned())
    }

    /// The values at `slot`, which belong to the weights of `v`, under its mask; those of packed
    /// weights without one.
    fn effective(&self, v: &Variable, slot: Option<Slot>) -> Result<Vec<f32>> {
        if let Some(matrix) = v.weight.stored.packed() {
            return Ok(matrix.download(&self.gpu, &self.program)?.dense(v.weight.layout));
        }
        let slot = slot.map_or_else(|| v.weight.values(), Ok)?;
        let values = self.program.download(&self.gpu, slot)?;
        v.weight.stored.effective(values, |mask| self.program.download(&self.gpu, mask))
    }

    pub(super) fn variable(&self, name: &str) -> Result<&Variable> {
        self.variables.iter().find(|v| v.weight.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.variables.iter().map(|v| v.weight.name.as_str()).collect();
            Error::argument(name, format!("no such parameter; there are {}", known.join(", ")))
        })
    }
}
