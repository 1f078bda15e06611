//! A session's tensors on the host: for checkpoints, reports and the search for what is not finite.
use std::borrow::Cow;

use super::Session;
use super::variable::Variable;
use crate::checkpoint::Checkpoint;
use crate::gpu::Slot;
use crate::graph::{ANCHOR, MASK, RAW, Saved, Weight};
use crate::kernels::MaskState;
use crate::optim::AVERAGE;
use crate::storage::{Tensor, TensorData};
use crate::{Error, Result};

/// The tensors of a checkpoint's two files.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// Effective weights: pruned ones are zero whatever the mode.
    pub(crate) model: Vec<Tensor>,
    /// Optimizer slots, those of scores, masks, thresholds, and raw weights where they differ from
    /// the effective.
    pub(crate) optimizer: Vec<Tensor>,
    /// The pruned ones of the model, with their threshold if it is one of |w|.
    pub(crate) pruned: Vec<(String, Option<f32>)>,
}

impl Snapshot {
    /// Name of the first tensor with a value that is not finite.
    pub(crate) fn first_non_finite(&self) -> Option<String> {
        let finite = |t: &&Tensor| match &t.data {
            TensorData::F32(values) => values.iter().all(|v| v.is_finite()),
            TensorData::U32(_) => true,
        };
        self.model.iter().chain(&self.optimizer).find(|t| !finite(t)).map(|t| t.name.clone())
    }
}

/// What a readback of all variables holds, so that it can be taken apart on another thread.
#[derive(Debug, Clone)]
pub(crate) struct Layout(Vec<Variable>);

impl Layout {
    pub(super) fn of(variables: &[Variable]) -> Self {
        Self(variables.iter().filter(|v| !v.frozen).cloned().collect())
    }

    /// Everything to read back, in the order that [`Layout::snapshot`] expects.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        let of = |v: &Variable| {
            let slots = v.weight.slots.iter().chain(&v.score_slots).map(|&(_, slot)| slot);
            let state = v.mask.map(|mask| mask.state);
            slots.chain(v.weight.stored.slots()).chain(state).collect::<Vec<_>>()
        };
        self.0.iter().flat_map(of).collect()
    }

    /// Takes a readback of [`Layout::slots`] apart; `parts` break between slots.
    pub(crate) fn snapshot(&self, parts: &[Vec<u8>]) -> Snapshot {
        let (mut model, mut optimizer, mut pruned) = (Vec::new(), Vec::new(), Vec::new());
        let mut parts = parts.iter();
        let mut rest: &[u8] = &[];
        let mut next = |slot: Slot| {
            if rest.is_empty() {
                rest = parts.next().expect("a part for each slot");
            }
            let (here, after) = rest.split_at(slot.words as usize * 4);
            rest = after;
            here
        };
        for v in &self.0 {
            let name = &v.weight.name;
            let shape: Vec<usize> = v.weight.shape.dims().iter().map(|&d| d as usize).collect();
            let tensor = |name: String, values| {
                let data = TensorData::F32(values);
                Tensor { name, shape: shape.clone(), data }
            };
            for &(slot, at) in &v.weight.slots {
                let values = bytemuck::pod_collect_to_vec(next(at));
                optimizer.push(tensor(format!("{name}/{slot}"), values));
            }
            for &(slot, at) in &v.score_slots {
                let data = TensorData::F32(bytemuck::pod_collect_to_vec(next(at)));
                let shape = vec![at.words as usize];
                optimizer.push(Tensor { name: format!("{name}/{slot}"), shape, data });
            }
            let Saved { weights, raw, bits } = v.weight.stored.save(&mut next);
            let to = if v.carried { &mut optimizer } else { &mut model };
            to.push(tensor(name.clone(), weights));
            optimizer.extend(raw.map(|raw| tensor(format!("{name}/{RAW}"), raw)));
            optimizer.extend(bits.map(|bits| {
                let (name, shape) = (format!("{name}/{MASK}"), vec![bits.len()]);
                Tensor { name, shape, data: TensorData::U32(bits) }
            }));
            let Some(mask) = v.mask else { continue };
            let state: Vec<MaskState> = bytemuck::pod_collect_to_vec(next(mask.state));
            let threshold = v.score.scoring().threshold(state[0].threshold);
            pruned.push((name.clone(), mask.of_magnitudes.then_some(threshold)));
            let data = TensorData::F32(vec![threshold]);
            optimizer.push(Tensor { name: format!("{name}/threshold"), shape: vec![1], data });
        }
        Snapshot { model, optimizer, pruned }
    }
}

impl Session {
    /// What a readback of everything worth keeping holds.
    pub(crate) fn layout(&self) -> Layout {
        Layout::of(&self.variables)
    }

    /// Puts a checkpoint on the device. A checkpoint without masks warm-starts a masked network:
    /// masks that are not there keep everything, what a score keeps begins at 0, and averages begin
    /// as the weights.
    ///
    /// # Errors
    /// [`Error::File`] names the tensor that is missing or has another shape; then nothing has
    /// been changed.
    pub fn restore(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        self.restore_as(checkpoint, false)
    }

    /// As [`restore`](Self::restore); `afresh` lets tensors of the optimizer that the checkpoint
    /// does not have begin at 0, as in a new run.
    pub(crate) fn restore_as(&mut self, checkpoint: &Checkpoint, afresh: bool) -> Result<()> {
        let files = [&checkpoint.model, &checkpoint.optimizer];
        let find = |name: &str| files.iter().flat_map(|f| f.iter()).find(|t| t.name == name);
        let fail = |message: String| Error::file(&checkpoint.path, message);
        let fits = |shape: &[usize], v: &Variable| {
            shape.iter().copied().eq(v.weight.shape.dims().iter().map(|&d| d as usize))
        };
        let f32s = |name: &str, v: &Variable| match find(name).map(|t| (&t.shape, &t.data)) {
            Some((shape, TensorData::F32(values))) if fits(shape, v) => Ok(values),
            Some((shape, _)) => {
                let need = &v.weight.shape;
                Err(fail(format!("{name} has shape {shape:?}, the network needs F32 {need}")))
            }
            None => Err(fail(format!("{name} is missing: other model or optimizer"))),
        };
        // Everything is looked up before anything is written.
        let mut uploads: Vec<(_, &[f32])> = Vec::new();
        let (mut masks, mut scores) = (Vec::new(), Vec::new());
        for v in self.variables.iter().filter(|v| !v.frozen) {
            let Weight { name, len, stored, slots, .. } = &v.weight;
            let beside = |slot: &str| format!("{name}/{slot}");
            let raw = stored.values_from(|slot| find(&beside(slot)).is_some());
            let values = f32s(&raw.map_or(name.clone(), beside), v)?;
            uploads.push((v.weight.values()?, values));
            for &(slot, at) in slots {
                let name = beside(slot);
                // A run that kept no averages: they begin as the weights. One that drew weights to
                // nothing: anchors are 0, as in a new run.
                let missing = find(&name).is_none();
                let begins = slot == AVERAGE && missing;
                if (afresh || slot == ANCHOR) && missing && !begins {
                    continue;
                }
                uploads.push((at, if begins { values } else { f32s(&name, v)? }));
            }
            for &(slot, at) in &v.score_slots {
                let (name, words) = (beside(slot), at.words as usize);
                scores.push(match find(&name).map(|t| &t.data) {
                    Some(TensorData::F32(values)) if values.len() == words => {
                        (at, Cow::Borrowed(values.as_slice()))
                    }
                    // A run that ranked by something else: this score begins here.
                    None => (at, Cow::Owned(vec![0.0; words])),
                    Some(_) => return Err(fail(format!("{name} has other than {words} values"))),
                });
            }
            let bits = stored.mask_from(*len, find(&beside(MASK)).map(|t| &t.data));
            let bits = bits
                .map_err(|()| fail(format!("{} does not fit {}", beside(MASK), v.weight.shape)))?;
            let (Some(mask), Some((at, bits))) = (v.mask, bits) else { continue };
            let threshold = match find(&beside("threshold")).map(|t| &t.data) {
                Some(TensorData::F32(value)) if value.len() == 1 => {
                    v.score.scoring().threshold_bits(value[0])
                }
                _ => 0,
            };
            masks.push((at, mask.state, threshold, bits));
        }
        for (slot, values) in uploads {
            self.program.upload(&self.gpu, slot, values);
        }
        self.has_seen_batches |= scores.iter().any(|(_, v)| v.iter().any(|&x| x != 0.0));
        for (slot, values) in scores {
            self.program.upload(&self.gpu, slot, &values);
        }
        for (mask, at, threshold, bits) in masks {
            let kept = bits.iter().map(|w| w.count_ones()).sum();
            let state = MaskState { threshold, kept, ..Default::default() };
            self.program.upload(&self.gpu, mask, &bits);
            self.program.upload(&self.gpu, at, &[state]);
        }
        let frozen: Vec<&str> =
            self.variables.iter().filter(|v| v.frozen).map(|v| v.weight.name.as_str()).collect();
        self.uninitialised.retain(|name| frozen.contains(&name.as_str()));
        self.global_step = checkpoint.manifest.global_step;
        Ok(())
    }
}
