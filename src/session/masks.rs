//! Pruning in one shot: batches that leave the weights, and a mask update outside any step.
use super::Session;
use super::steps::Selected;
use crate::data::{Batch, BatchSource};
use crate::gpu::Encoder;
use crate::kernels::MaskState;
use crate::prune::PrunedTensor;
use crate::{Error, Result};

impl Session {
    /// Runs the batches of `batches` through the network, to their end, for the score to rank by
    /// them: the weights stay. How many rows there were.
    ///
    /// [`Score::Wanda`](crate::prune::Score::Wanda) adds up the squares of each layer's inputs,
    /// movement what a step of descent would do, saliency takes the gradient of the last batch; for
    /// the others there is nothing to do, and no batch is read.
    ///
    /// # Errors
    /// Of the batch source and the device; [`Error::Shape`] for batches that the network does not
    /// take.
    pub fn calibrate(&mut self, batches: &mut dyn BatchSource) -> Result<u64> {
        let Some(phase) = self.calibrate else { return Ok(0) };
        self.takes.check_source("calibrate", batches)?;
        let (mut batch, mut rows, mut number) = (Batch::default(), 0, 0);
        while batches.next_batch(&mut batch)? {
            self.takes.check_batch(batches, &batch, number)?;
            number += 1;
            self.upload_batch(&batch, self.scalars(1, batch.rows));
            let mut encoder = Encoder::new(&self.gpu);
            self.program.encode(phase, &mut encoder);
            encoder.submit()?;
            // The host is not to run ahead: what it uploads is kept until it is copied.
            self.gpu.wait()?;
            rows += batch.rows as u64;
            self.has_seen_batches = true;
        }
        Ok(rows)
    }

    /// Updates the masks to `sparsity`, as after a step at which the schedule asks for that: what
    /// [`MaskUpdateOp`](crate::prune::MaskUpdateOp) says about tensors, patterns and scores holds.
    /// Waits for the device.
    ///
    /// # Errors
    /// [`Error::Argument`] without a specification, for a sparsity outside 0 to 1, or a score that
    /// needs [`calibrate`](Self::calibrate) first; [`Error::NonFinite`] for weights or scores that
    /// are NaN, which leaves masks that mean nothing.
    pub fn update_masks(&mut self, sparsity: f64) -> Result<MaskEvent> {
        let refuse = |message: String| Err(Error::argument("update_masks", message));
        if !(0.0..=1.0).contains(&sparsity) {
            return refuse(format!("sparsity {sparsity}, must be in 0 to 1"));
        }
        let Some((phase, update)) = &self.mask_update else {
            return refuse("the session has no pruning specification; make it with one".into());
        };
        if self.calibrate.is_some() && !self.has_seen_batches {
            return refuse("it ranks by what batches leave; call calibrate() before".into());
        }
        self.program.upload(&self.gpu, update.counts(), &update.words(0, sparsity));
        let mut encoder = Encoder::new(&self.gpu);
        self.program.encode(*phase, &mut encoder);
        encoder.submit()?;
        let selected = |t: PrunedTensor| {
            let state: Vec<MaskState> = self.program.download(&self.gpu, t.state)?;
            let energy: Vec<f32> = self.program.download(&self.gpu, t.energy)?;
            Ok(Selected { state: state[0], energy: [energy[0], energy[1]] })
        };
        let selected = self.pruned().map(selected).collect::<Result<_>>()?;
        self.mask_event(0, &(sparsity, selected))
    }

    /// Prunes what is zero already: of each tensor with a mask of which at least the share `least`
    /// is zero, the mask becomes that of its weights. How many weights are pruned so. Waits for the
    /// device.
    ///
    /// # Errors
    /// Of the device.
    pub fn mask_zeros(&mut self, least: f64) -> Result<u64> {
        let mut zeros = 0;
        for tensor in self.pruned() {
            let weights = self.weights(tensor.name())?;
            let bits: Vec<u32> = weights.chunks(32).map(kept_bits).collect();
            let kept: u32 = bits.iter().map(|word| word.count_ones()).sum();
            if f64::from(tensor.len() - kept) < least * f64::from(tensor.len()) {
                continue;
            }
            let state = MaskState { kept, ..MaskState::default() };
            self.program.upload(&self.gpu, tensor.mask(), &bits);
            self.program.upload(&self.gpu, tensor.state, &[state]);
            zeros += u64::from(tensor.len() - kept);
        }
        Ok(zeros)
    }

    /// What a mask update to a sparsity did, by what it left on the device.
    ///
    /// # Errors
    /// [`Error::NonFinite`] names the first tensor with a weight or score that is NaN.
    pub(crate) fn mask_event(
        &self,
        step: u64,
        (asked, selected): &(f64, Vec<Selected>),
    ) -> Result<MaskEvent> {
        let score = self.score().cloned().unwrap_or_default();
        let update = self.mask_update.as_ref().map(|(_, update)| update);
        let asked_of = update.map_or_else(Vec::new, |update| update.asked_of_each(*asked));
        let tensor = |(i, (tensor, selected)): (usize, (PrunedTensor, &Selected))| {
            let &Selected { state, energy } = selected;
            if state.nan > 0 {
                return Err(Error::NonFinite { step, tensor: tensor.weight.name });
            }
            let [left, found] = energy.map(f64::from);
            Ok(MaskSparsity {
                asked: asked_of.get(i).copied().flatten(),
                sparsity: 1.0 - f64::from(state.kept) / f64::from(tensor.len()),
                churn: f64::from(state.changed) / f64::from(tensor.len()),
                // Where there was nothing, nothing is lost.
                kept_energy: if found == 0.0 { 1.0 } else { left / found },
                threshold: score.scoring().threshold(state.threshold),
                len: tensor.len(),
                name: tensor.weight.name,
            })
        };
        let tensors = self.pruned().zip(selected).enumerate().map(tensor).collect::<Result<_>>()?;
        let asked_total = update.map_or(*asked, |update| update.asked(*asked));
        Ok(MaskEvent { asked: *asked, asked_total, tensors })
    }
}

/// A word of a mask that keeps what is not zero.
fn kept_bits(weights: &[f32]) -> u32 {
    weights.iter().enumerate().fold(0, |word, (i, &w)| word | u32::from(w != 0.0) << i)
}

/// A mask update.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MaskEvent {
    /// Sparsity that the schedule asks for: of each tensor without a target of its own, or of all
    /// of them together.
    pub asked: f64,
    /// Share of all pruned tensors' weights that this comes to.
    pub asked_total: f64,
    /// Each pruned weight.
    pub tensors: Vec<MaskSparsity>,
}

impl MaskEvent {
    /// Share of clear bits over all pruned tensors.
    pub fn sparsity(&self) -> f64 {
        let pruned: f64 = self.tensors.iter().map(|t| t.sparsity * f64::from(t.len)).sum();
        pruned / self.tensors.iter().map(|t| f64::from(t.len)).sum::<f64>()
    }
}

/// The mask of one weight.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MaskSparsity {
    /// Name of the weight.
    pub name: String,
    /// Number of weights.
    pub len: u32,
    /// Share of clear bits that the update was to leave; `None` where the tensor is ranked together
    /// with others, which only have a share in common.
    pub asked: Option<f64>,
    /// Share of clear bits, counted on the device.
    pub sparsity: f64,
    /// Share of the bits that this update changed.
    pub churn: f64,
    /// Sum of the squared weights that this update left, over that of those it found: pruned ones
    /// of earlier updates are among them as far as they have values.
    pub kept_energy: f64,
    /// Highest score pruned by this or the last update that pruned more than zeros: |w|, unless the
    /// specification ranks by something else; with `threshold=histogram` the smoothed threshold,
    /// with N:M the highest that any update so far has pruned.
    pub threshold: f32,
}
