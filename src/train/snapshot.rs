//! A session's tensors on the host: for checkpoints, reports and the search for what is not finite.
use super::checkpoint::{Checkpoint, Tensor, TensorData};
use super::session::Session;
use super::variables::{Mask, Variable};
use crate::kernels::{Pruned, TopkState, apply_mask_reference, ones};
use crate::prune::LayerSparsity;
use crate::{Error, Result};

/// The tensors of a checkpoint's two files.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    /// Effective weights: pruned ones are zero whatever the mode.
    pub(super) model: Vec<Tensor>,
    /// Optimizer slots, masks, thresholds, and raw weights where they differ from the effective.
    pub(super) optimizer: Vec<Tensor>,
}

impl Snapshot {
    /// Name of the first tensor with a value that is not finite.
    pub(super) fn first_non_finite(&self) -> Option<String> {
        let finite = |t: &&Tensor| match &t.data {
            TensorData::F32(values) => values.iter().all(|v| v.is_finite()),
            TensorData::U32(_) => true,
        };
        self.model.iter().chain(&self.optimizer).find(|t| !finite(t)).map(|t| t.name.clone())
    }
}

impl Session<'_> {
    /// Copies everything to the host; waits for the device.
    pub(super) fn snapshot(&self) -> Result<Snapshot> {
        let (mut model, mut optimizer) = (Vec::new(), Vec::new());
        for v in &self.variables {
            let shape: Vec<usize> = v.shape.dims().iter().map(|&d| d as usize).collect();
            let f32s = |name: String, values| {
                let data = TensorData::F32(values);
                Tensor { name, shape: shape.clone(), data }
            };
            let raw: Vec<f32> = self.program.download(self.gpu, v.weights)?;
            for &(slot, at) in &v.slots {
                let values = self.program.download(self.gpu, at)?;
                optimizer.push(f32s(format!("{}/{slot}", v.name), values));
            }
            let Some(mask) = v.mask else {
                model.push(f32s(v.name.clone(), raw));
                continue;
            };
            let bits: Vec<u32> = self.program.download(self.gpu, mask.bits)?;
            model.push(f32s(v.name.clone(), apply_mask_reference(&bits, &raw)));
            if mask.pruned != Pruned::Zero {
                optimizer.push(f32s(format!("{}/raw", v.name), raw));
            }
            let data = TensorData::U32(bits);
            let (name, shape) = (format!("{}/mask", v.name), vec![mask.bits.words as usize]);
            optimizer.push(Tensor { name, shape, data });
            let data = TensorData::F32(vec![f32::from_bits(self.state(mask)?.threshold)]);
            optimizer.push(Tensor { name: format!("{}/threshold", v.name), shape: vec![1], data });
        }
        Ok(Snapshot { model, optimizer })
    }

    /// Puts a checkpoint on the device. A checkpoint without masks warm-starts a masked network:
    /// masks that are not there keep everything.
    ///
    /// # Errors
    /// [`Error::File`] names the tensor that is missing or has another shape; then nothing has
    /// been changed.
    pub fn restore(&self, checkpoint: &Checkpoint) -> Result<()> {
        let files = [&checkpoint.model, &checkpoint.optimizer];
        let find = |name: &str| files.iter().flat_map(|f| f.iter()).find(|t| t.name == name);
        let fail = |message: String| Error::file(&checkpoint.path, message);
        let f32s = |name: &str, v: &Variable| match find(name).map(|t| (&t.shape, &t.data)) {
            Some((_, TensorData::F32(values))) if values.len() == v.len as usize => Ok(values),
            Some((shape, _)) => {
                Err(fail(format!("{name} has shape {shape:?}, the network needs f32 {}", v.shape)))
            }
            None => Err(fail(format!("{name} is missing: other model or optimizer"))),
        };
        // Everything is looked up before anything is written.
        let mut uploads: Vec<(_, &[f32])> = Vec::new();
        let mut masks = Vec::new();
        for v in &self.variables {
            let raw = format!("{}/raw", v.name);
            let has_raw = v.mask.is_some() && find(&raw).is_some();
            let weights = if has_raw { &raw } else { &v.name };
            uploads.push((v.weights, f32s(weights, v)?));
            for &(slot, at) in &v.slots {
                uploads.push((at, f32s(&format!("{}/{slot}", v.name), v)?));
            }
            let Some(mask) = v.mask else { continue };
            let bits = match find(&format!("{}/mask", v.name)).map(|t| &t.data) {
                Some(TensorData::U32(bits)) if bits.len() == mask.bits.words as usize => {
                    bits.clone()
                }
                None => ones(v.len),
                Some(_) => return Err(fail(format!("{}/mask does not fit {}", v.name, v.shape))),
            };
            let threshold = match find(&format!("{}/threshold", v.name)).map(|t| &t.data) {
                Some(TensorData::F32(value)) if value.len() == 1 => value[0].to_bits(),
                _ => 0,
            };
            masks.push((mask, threshold, bits));
        }
        for (slot, values) in uploads {
            self.program.upload(self.gpu, slot, values);
        }
        for (mask, threshold, bits) in masks {
            let kept = bits.iter().map(|w| w.count_ones()).sum();
            self.program.upload(self.gpu, mask.bits, &bits);
            self.program.upload(
                self.gpu,
                mask.state,
                &[TopkState { threshold, kept, ..Default::default() }],
            );
        }
        Ok(())
    }

    /// What is left of each weight matrix, counting real zeros; waits for the device.
    ///
    /// # Errors
    /// [`Error::DeviceLost`].
    pub fn layers(&self) -> Result<Vec<LayerSparsity>> {
        let matrices = self.variables.iter().filter(|v| v.shape.rank() >= 2);
        matrices
            .map(|v| {
                let weights = self.weights(&v.name)?;
                let nonzero = weights.iter().filter(|&&w| w != 0.0).count() as u64;
                let threshold = v.mask.map(|m| self.state(m)).transpose()?;
                Ok(LayerSparsity {
                    name: v.name.clone(),
                    shape: v.shape.dims().to_vec(),
                    sparsity: 1.0 - nonzero as f64 / f64::from(v.len),
                    nonzero,
                    threshold: threshold.map_or(0.0, |s| f32::from_bits(s.threshold)),
                })
            })
            .collect()
    }

    /// Effective weights of the parameter `name`: pruned ones are zero. Waits for the device.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that the network does not have.
    pub fn weights(&self, name: &str) -> Result<Vec<f32>> {
        let v = self.variables.iter().find(|v| v.name == name).ok_or_else(|| {
            let known: Vec<&str> = self.variables.iter().map(|v| v.name.as_str()).collect();
            Error::argument(name, format!("no such parameter; there are {}", known.join(", ")))
        })?;
        let raw: Vec<f32> = self.program.download(self.gpu, v.weights)?;
        match v.mask {
            Some(mask) => {
                let bits: Vec<u32> = self.program.download(self.gpu, mask.bits)?;
                Ok(apply_mask_reference(&bits, &raw))
            }
            None => Ok(raw),
        }
    }

    /// Name of the first parameter that is not finite; `loss` when all are.
    pub(super) fn first_non_finite(&self) -> Result<String> {
        for v in &self.variables {
            let values: Vec<f32> = self.program.download(self.gpu, v.weights)?;
            if values.iter().any(|w| !w.is_finite()) {
                return Ok(v.name.clone());
            }
        }
        Ok("the loss".to_owned())
    }

    fn state(&self, mask: Mask) -> Result<TopkState> {
        Ok(self.program.download(self.gpu, mask.state)?[0])
    }
}
