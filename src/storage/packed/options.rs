//! What a file's tensors are to become.
use std::collections::HashMap;

use super::packing::Format;
use crate::storage::Dtype;

/// What [`pack`](super::pack()) makes of a file.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct PackOptions {
    /// What matrices of many zeros become.
    pub format: Format,
    /// Type of the values of tensors with two axes and more; `None` leaves each its own.
    pub values: Option<Values>,
    /// The axis of the output units of a tensor by its name, each of which has a scale where values
    /// are [`Int8`](Values::Int8): the first one, as PyTorch's linear layers have it, for names
    /// that are not here.
    pub unit_axes: HashMap<String, usize>,
    /// What else the output's metadata says, beside what the input's does.
    pub metadata: HashMap<String, String>,
    /// Whether an output that is there is replaced.
    pub force: bool,
}

impl PackOptions {
    /// Packs into `format`.
    pub fn new(format: Format) -> Self {
        Self { format, ..Self::default() }
    }

    /// With values of that type.
    #[must_use]
    pub fn values(mut self, values: Option<Values>) -> Self {
        self.values = values;
        self
    }

    /// With these axes of output units.
    #[must_use]
    pub fn unit_axes(mut self, axes: HashMap<String, usize>) -> Self {
        self.unit_axes = axes;
        self
    }

    /// With this in the output's metadata, in place of what the input has under the key.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Whether to replace an output that is there.
    #[must_use]
    pub fn force(mut self, force: bool) -> Self {
        self.force = force;
        self
    }
}

/// A type that values are rounded to, the nearest one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Values {
    /// 32-bit floats.
    F32,
    /// Half-precision floats.
    F16,
    /// Brain floats.
    Bf16,
    /// Whole numbers of 8 bits, times a scale for each output unit.
    Int8,
}

impl Values {
    /// The type of the elements in the file.
    pub fn dtype(self) -> Dtype {
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::Bf16 => Dtype::BF16,
            Self::Int8 => Dtype::I8,
        }
    }
}
