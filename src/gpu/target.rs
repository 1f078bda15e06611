//! What a plan is for.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// In what products are computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// All in 32 bits.
    #[default]
    F32,
    /// Dense products read copies in 16 bits and add up in 32, and so does attention on cooperative
    /// matrices; weights, activations, gradients and everything else are kept in 32. Each copy is
    /// scaled on the device by its own largest magnitude, so there is no loss scale to choose and
    /// no step that overflows.
    Mixed,
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "mixed" => Ok(Self::Mixed),
            _ => Err(format!("`{text}` is not a precision; use f32 or mixed")),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::F32 { "f32" } else { "mixed" })
    }
}

/// What a plan may count on. Decided before the plan, so that a plan needs no device; the default
/// runs on any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Target {
    /// Shaders run on the processor: loads cost more than arithmetic there, and barriers more than
    /// either.
    pub software: bool,
    /// Invocations of a subgroup, where every one has as many and shaders may broadcast within it.
    pub subgroup: Option<u32>,
    /// The most invocations of a subgroup, where shaders may ask which subgroup they are of; those
    /// of a workgroup may have fewer. `subgroup` stands in where it is `None`.
    pub largest_subgroup: Option<u32>,
    /// Bytes of workgroup memory; what WebGPU promises, 16 KiB, where that is more.
    pub workgroup_bytes: u32,
    /// In what products are computed.
    pub precision: Precision,
    /// Rows, columns and terms of the cooperative matrices that take f16 and add up in f32, where
    /// there are any.
    pub cooperative: Option<u32>,
    /// What a tuner chose; whatever it is, the results are the same, but where it chose between
    /// cooperative matrices and something else.
    pub choices: Choices,
    /// Most multiply-adds of one launch, some 100 ms of them, where a driver resets a GPU that one
    /// launch keeps busy: what takes longer is cut in several, to the same results.
    pub most_operations: Option<u64>,
}

impl Target {
    /// The same with a tuner's `choices`, launches as long as it has measured, and cooperative
    /// matrices only where it has tried them or they are used `untested`.
    pub fn tuned(self, choices: Choices, untested: bool) -> Self {
        let cooperative = self.cooperative.filter(|_| untested || choices.matrices);
        let measured = (choices.rate > 0).then_some(choices.rate / 10);
        let most_operations = self.most_operations.map(|safe| measured.unwrap_or(safe));
        Self { choices, most_operations, cooperative, ..self }
    }
}

/// Names that a tuner has chosen, for the kernels above to understand: this floor keeps and passes
/// them on.
///
/// Whoever chooses numbers its places; [`Tiling`](crate::kernels::Tiling) has the products'.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Choices {
    names: [[u8; Self::LONGEST]; Self::PLACES],
    /// Multiply-adds that the adapter makes in a second in large products; 0 where none were
    /// measured.
    pub rate: u64,
    /// Whether products on cooperative matrices were right, again and again.
    pub matrices: bool,
}

impl Choices {
    /// Places there are.
    pub const PLACES: usize = 18;
    /// Most bytes of a name.
    pub const LONGEST: usize = 15;

    /// The name at `place`; `None` where nothing was chosen.
    pub fn get(&self, place: usize) -> Option<&str> {
        let bytes = self.names.get(place)?;
        let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
        str::from_utf8(&bytes[..end]).ok().filter(|name| !name.is_empty())
    }

    /// Puts `name` at `place`; whether there is such a place, and the name fits.
    #[must_use]
    pub fn set(&mut self, place: usize, name: &str) -> bool {
        match self.names.get_mut(place) {
            Some(at) if name.len() <= Self::LONGEST => {
                *at = [0; Self::LONGEST];
                at[..name.len()].copy_from_slice(name.as_bytes());
                true
            }
            _ => false,
        }
    }

    /// Each place's.
    pub fn names(&self) -> impl Iterator<Item = Option<&str>> {
        (0..Self::PLACES).map(|place| self.get(place))
    }
}

impl fmt::Debug for Choices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).entry(&self.rate).entry(&self.matrices).finish()
    }
}

/// As they are on disk.
#[derive(Serialize, Deserialize)]
struct Kept {
    names: Vec<Option<String>>,
    rate: u64,
    matrices: bool,
}

impl Serialize for Choices {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = self.names().map(|name| name.map(str::to_owned)).collect();
        Kept { names, rate: self.rate, matrices: self.matrices }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kept = Kept::deserialize(deserializer)?;
        let mut choices = Self { rate: kept.rate, matrices: kept.matrices, ..Self::default() };
        for (place, name) in kept.names.iter().enumerate() {
            if !choices.set(place, name.as_deref().unwrap_or_default()) {
                let message = format!("{name:?} at place {place} of {}", Self::PLACES);
                return Err(serde::de::Error::custom(message));
            }
        }
        Ok(choices)
    }
}
