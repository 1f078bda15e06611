//! How a weight is stored, on the device and in files: the one place that knows.
//!
//! All matches on [`Stored`] are here, and none has an arm for all others: another way of storing
//! is a variant, and the compiler lists what must be said of it. What a product multiplies is asked
//! of [`Lowering::factors`], so that another kind of operand is a variant of [`Factors`].
use std::borrow::Cow;

use super::Tensor;
use super::lower::Lowering;
use super::weight::is_packed;
use crate::gpu::Slot;
use crate::kernels::{F16Operand, Packed, PackedShape, Pruned, apply_mask_reference, ones};
use crate::storage::TensorData;
use crate::{Error, Result};

/// A checkpoint has the mask of `NAME` under `NAME/mask`, one bit a weight.
pub const MASK: &str = "mask";
/// A checkpoint has the values of `NAME` under `NAME/raw` where `NAME` itself, which has zeros for
/// pruned weights, does not say them.
pub const RAW: &str = "raw";

/// Where the words of a weight are on the device, and how its effective values, those with zeros
/// for pruned weights, follow from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stored {
    /// One f32 a weight, none of which is pruned.
    Dense {
        /// The weights.
        values: Slot,
    },
    /// One f32 a weight. Mask updates and the optimizer hold the pruned ones at zero
    /// ([`Pruned::Zero`]), so that products need no mask.
    Held {
        /// The weights.
        values: Slot,
        /// A set bit for each weight that is kept.
        mask: Slot,
    },
    /// One f32 a weight. The pruned ones keep values ([`Pruned::Revive`], [`Pruned::Freeze`]), so
    /// that products read the mask beside them.
    Masked {
        /// The raw weights.
        values: Slot,
        /// A set bit for each weight that is kept.
        mask: Slot,
        /// Whether no optimizer moves the pruned ones.
        frozen: bool,
    },
    /// One f32 a weight. All of them train ([`Pruned::Pull`]); the pruned ones count as zero in
    /// evaluation and files.
    Pulled {
        /// The raw weights.
        values: Slot,
        /// A set bit for each weight that is kept.
        mask: Slot,
    },
    /// The kept weights alone, in a form that forward products read. Nothing else does, and no
    /// value moves: it has no gradient.
    Packed {
        /// The matrix.
        matrix: Packed,
    },
}

/// A tensor as most launches read it: one f32 an element, of which those whose bit of the mask is
/// clear count as zero.
#[derive(Debug, Clone, Copy)]
pub(super) struct Masked {
    pub(super) values: Slot,
    pub(super) mask: Option<Slot>,
}

/// The operands of a product.
pub(super) enum Factors {
    /// f32, the second under a mask if it has one.
    F32 { a: Slot, b: Masked },
    /// Copies for mixed precision, which have the mask in them.
    F16 { a: F16Operand, b: F16Operand, peaks: Slot },
    /// The second without its zeros.
    Packed { a: Slot, b: Packed },
}

/// A weight as forward products read it.
pub(super) enum Factor {
    /// One f32 an element.
    Dense(Masked),
    /// Without its zeros.
    Packed(Packed),
}

impl From<Slot> for Stored {
    fn from(values: Slot) -> Self {
        Self::Dense { values }
    }
}

impl From<Packed> for Stored {
    fn from(matrix: Packed) -> Self {
        Self::Packed { matrix }
    }
}

impl Stored {
    /// Weights at `values` with a mask, and what becomes of the pruned ones.
    pub fn pruned(values: Slot, mask: Slot, pruned: Pruned) -> Self {
        match pruned {
            Pruned::Zero => Self::Held { values, mask },
            Pruned::Revive => Self::Masked { values, mask, frozen: false },
            Pruned::Freeze => Self::Masked { values, mask, frozen: true },
            Pruned::Pull => Self::Pulled { values, mask },
        }
    }

    /// The values, one f32 a weight: what initial values are written to and an optimizer moves.
    /// `None` where they are packed.
    pub fn values(&self) -> Option<Slot> {
        match *self {
            Self::Dense { values }
            | Self::Held { values, .. }
            | Self::Masked { values, .. }
            | Self::Pulled { values, .. } => Some(values),
            Self::Packed { .. } => None,
        }
    }

    /// The packed matrix, if it is one.
    pub fn packed(&self) -> Option<Packed> {
        match *self {
            Self::Dense { .. } | Self::Held { .. } | Self::Masked { .. } | Self::Pulled { .. } => {
                None
            }
            Self::Packed { matrix } => Some(matrix),
        }
    }

    /// The mask, if there is one.
    pub fn mask(&self) -> Option<Slot> {
        match *self {
            Self::Dense { .. } | Self::Packed { .. } => None,
            Self::Held { mask, .. } | Self::Masked { mask, .. } | Self::Pulled { mask, .. } => {
                Some(mask)
            }
        }
    }

    /// The mask, if the gradients of pruned weights count for nothing.
    pub fn gradient_mask(&self) -> Option<Slot> {
        match *self {
            Self::Dense { .. } | Self::Packed { .. } | Self::Pulled { .. } => None,
            Self::Held { mask, .. } | Self::Masked { mask, .. } => Some(mask),
        }
    }

    /// As the forward pass of training reads it, where evaluation reads what it is.
    pub fn trained(self) -> Self {
        match self {
            Self::Pulled { values, .. } => Self::Dense { values },
            Self::Dense { .. } | Self::Held { .. } | Self::Masked { .. } | Self::Packed { .. } => {
                self
            }
        }
    }

    /// All that a copy of it takes.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        let packed = self.packed().into_iter().flat_map(|matrix| matrix.slots());
        [self.values(), self.mask()].into_iter().flatten().chain(packed)
    }

    /// The mask as an optimizer's kernel reads it.
    pub fn moved_under(&self) -> Option<(Slot, Pruned)> {
        match *self {
            Self::Dense { .. } | Self::Packed { .. } | Self::Pulled { .. } => None,
            Self::Held { mask, .. } => Some((mask, Pruned::Zero)),
            Self::Masked { mask, frozen: false, .. } => Some((mask, Pruned::Revive)),
            Self::Masked { mask, frozen: true, .. } => Some((mask, Pruned::Freeze)),
        }
    }

    /// Whether a mask update must write zeros where it has pruned.
    pub fn holds_zeros(&self) -> bool {
        match self {
            Self::Held { .. } => true,
            Self::Dense { .. }
            | Self::Masked { .. }
            | Self::Pulled { .. }
            | Self::Packed { .. } => false,
        }
    }

    /// Other values of the same weights, stored in the same way: averages. Those of packed weights
    /// are not packed.
    pub fn with_values(self, values: Slot) -> Self {
        match self {
            Self::Dense { .. } | Self::Packed { .. } => Self::Dense { values },
            Self::Held { mask, .. } => Self::Held { values, mask },
            Self::Masked { mask, frozen, .. } => Self::Masked { values, mask, frozen },
            Self::Pulled { mask, .. } => Self::Pulled { values, mask },
        }
    }

    /// What launches read of weights that have values.
    fn read(&self, values: Slot) -> Masked {
        match *self {
            Self::Dense { .. } | Self::Held { .. } | Self::Packed { .. } => {
                Masked { values, mask: None }
            }
            Self::Masked { mask, .. } | Self::Pulled { mask, .. } => {
                Masked { values, mask: Some(mask) }
            }
        }
    }
}

/// On the host.
impl Stored {
    /// Effective weights of `values`, stored as these are. `bits` reads a mask, where one is
    /// needed.
    ///
    /// # Errors
    /// Of `bits`.
    pub fn effective(
        &self,
        values: Vec<f32>,
        bits: impl FnOnce(Slot) -> Result<Vec<u32>>,
    ) -> Result<Vec<f32>> {
        match *self {
            // The device holds pruned weights at zero; nothing here would hide it if it did not.
            Self::Dense { .. } | Self::Held { .. } | Self::Packed { .. } => Ok(values),
            Self::Masked { mask, .. } | Self::Pulled { mask, .. } => {
                Ok(apply_mask_reference(&bits(mask)?, &values))
            }
        }
    }

    /// `values` of all weights as they are to be written. `bits` reads a mask, where one is needed.
    ///
    /// # Errors
    /// Of `bits`.
    pub fn admit<'v>(
        &self,
        values: &'v [f32],
        bits: impl FnOnce(Slot) -> Result<Vec<u32>>,
    ) -> Result<Cow<'v, [f32]>> {
        match *self {
            // Nothing else keeps pruned weights out of the products.
            Self::Held { mask, .. } => Ok(apply_mask_reference(&bits(mask)?, values).into()),
            Self::Dense { .. }
            | Self::Masked { .. }
            | Self::Pulled { .. }
            | Self::Packed { .. } => Ok(values.into()),
        }
    }

    /// What files say of it, by what `read` has of [`slots`](Self::slots), in their order.
    pub(crate) fn save<'w>(&self, mut read: impl FnMut(Slot) -> &'w [u8]) -> Saved {
        let values = self.values().map(|slot| bytemuck::pod_collect_to_vec(read(slot)));
        let values: Vec<f32> = values.unwrap_or_default();
        let bits: Option<Vec<u32>> = self.mask().map(|m| bytemuck::pod_collect_to_vec(read(m)));
        match self {
            // A session that trains, and so is saved, packs nothing.
            Self::Dense { .. } | Self::Held { .. } | Self::Packed { .. } => {
                Saved { weights: values, raw: None, bits }
            }
            Self::Masked { .. } | Self::Pulled { .. } => {
                let weights = apply_mask_reference(bits.as_deref().unwrap_or_default(), &values);
                Saved { weights, raw: Some(values), bits }
            }
        }
    }

    /// Which tensor of a checkpoint has its values, of those that `found` has beside the effective
    /// weights: `None` where these are to be taken.
    pub(crate) fn values_from(&self, found: impl Fn(&str) -> bool) -> Option<&'static str> {
        match self {
            Self::Masked { .. } | Self::Pulled { .. } => found(RAW).then_some(RAW),
            Self::Dense { .. } | Self::Held { .. } | Self::Packed { .. } => None,
        }
    }

    /// The mask and the words that a checkpoint has for it in `found`: all `len` weights are kept
    /// where it has none. `Err` where these are no mask of `len` weights.
    pub(crate) fn mask_from(
        &self,
        len: u32,
        found: Option<&TensorData>,
    ) -> Result<Option<(Slot, Vec<u32>)>, ()> {
        let Some(mask) = self.mask() else { return Ok(None) };
        match found {
            Some(TensorData::U32(bits)) if bits.len() == mask.words as usize => {
                Ok(Some((mask, bits.clone())))
            }
            None => Ok(Some((mask, ones(len)))),
            Some(_) => Err(()),
        }
    }
}

/// A weight in the files of a checkpoint.
pub(crate) struct Saved {
    /// Effective: pruned ones are zero.
    pub(crate) weights: Vec<f32>,
    /// [`RAW`], where the effective ones do not say it.
    pub(crate) raw: Option<Vec<f32>>,
    /// [`MASK`]
    pub(crate) bits: Option<Vec<u32>>,
}

/// Effective weights of `values` from a checkpoint's file, such as an average, under `mask` if the
/// checkpoint has one that fits.
pub(crate) fn effective_in_file(values: &[f32], mask: Option<&TensorData>) -> Vec<f32> {
    match mask {
        Some(TensorData::U32(bits)) if bits.len() == values.len().div_ceil(32) => {
            apply_mask_reference(bits, values)
        }
        Some(TensorData::U32(_) | TensorData::F32(_)) | None => values.to_vec(),
    }
}

impl Lowering<'_> {
    /// Whether `tensor` is a packed matrix.
    pub(super) fn is_packed(&self, tensor: Tensor) -> bool {
        self.packed(tensor).is_some()
    }

    /// That `tensor`, which has no values on the device, is packed, if it is.
    pub(super) fn refuses(&self, tensor: Tensor) -> Option<Error> {
        self.packed(tensor).map(|_| is_packed(&self.graph.nodes[tensor.0].name))
    }

    /// `tensor` as a launch reads it that can apply a mask.
    pub(super) fn read(&self, tensor: Tensor) -> Result<Masked> {
        let values = self.slot(tensor)?;
        let stored = self.bindings.stored[tensor.0];
        Ok(stored.map_or(Masked { values, mask: None }, |s| s.read(values)))
    }

    /// The packed matrix that `tensor` is, if it is one.
    fn packed(&self, tensor: Tensor) -> Option<Packed> {
        self.bindings.stored[tensor.0].and_then(|stored| stored.packed())
    }

    /// The packed matrix that `weight` is, if it is one, for a product of so many units and inputs.
    fn packed_as(&self, weight: Tensor, [n, k]: [u32; 2]) -> Result<Option<Packed>> {
        let Some(matrix) = self.packed(weight) else { return Ok(None) };
        let PackedShape { units, inputs, .. } = matrix.shape();
        if [units, inputs] != [n, k] {
            let have = format!("packed as {units} units of {inputs} inputs");
            let message = format!("{have}, the product is of {n} and {k}");
            return Err(Error::shape(&self.graph.nodes[weight.0].name, message));
        }
        Ok(Some(matrix))
    }

    /// `weight` as a product of so many units and inputs reads it.
    pub(super) fn factor(&self, weight: Tensor, of: [u32; 2]) -> Result<Factor> {
        match self.packed_as(weight, of)? {
            Some(matrix) => Ok(Factor::Packed(matrix)),
            None => Ok(Factor::Dense(self.read(weight)?)),
        }
    }

    /// The operands of a product of `a` and `b` with these rows, columns and terms.
    pub(super) fn factors(&mut self, [a, b]: [Tensor; 2], extents: [u32; 3]) -> Result<Factors> {
        let [_, n, k] = extents;
        if let Some(matrix) = self.packed_as(b, [n, k])? {
            return Ok(Factors::Packed { a: self.slot(a)?, b: matrix });
        }
        if self.reads_f16(extents) {
            let [a, b] = [self.f16_copy(a)?, self.f16_copy(b)?];
            return Ok(Factors::F16 { a, b, peaks: self.f16.peaks()? });
        }
        Ok(Factors::F32 { a: self.slot(a)?, b: self.read(b)? })
    }
}
