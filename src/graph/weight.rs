//! A weight with what is kept beside it.
use super::stored::Stored;
use super::{Shape, node};
use crate::gpu::Slot;
use crate::kernels::{Layout, Pull, Units};
use crate::{Error, Result};

/// What [`Pruned::Pull`](crate::kernels::Pruned::Pull) keeps beside each weight: what it is drawn to
/// where it is kept, else its dual variable.
pub const ANCHOR: &str = "anchor";

/// A tensor of a model on the device, with what optimizers, prunings and sessions know of it alike.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Weight {
    /// Dotted and unique: `fc1.weight`.
    pub name: String,
    /// Extents.
    pub shape: Shape,
    /// Which axis its output units are.
    pub layout: Layout,
    /// Elements.
    pub len: u32,
    /// Where it is.
    pub stored: Stored,
    /// What is kept beside it, by name, each as long as it is: the optimizer's tensors, then the
    /// average of the weights.
    pub slots: Vec<(&'static str, Slot)>,
    /// Weight decay of its own, part of its gradient: `decay * weight`.
    pub decay: f32,
    /// Strength of the penalty that draws it to its projection, where it is stored so.
    pub penalty: f32,
}

impl Weight {
    /// A weight with nothing beside it and no decay of its own.
    pub fn new(name: impl Into<String>, shape: Shape, stored: impl Into<Stored>) -> Self {
        let (name, stored) = (name.into(), stored.into());
        let len = shape.elements().unwrap_or(0);
        let layout = Layout::InOut;
        Self { name, shape, layout, len, stored, slots: Vec::new(), decay: 0.0, penalty: 0.0 }
    }

    /// The same with `slots` beside it.
    pub fn with_slots(self, slots: Vec<(&'static str, Slot)>) -> Self {
        Self { slots, ..self }
    }

    /// What draws its gradient in `gradient`, where it is stored so.
    pub fn pull(&self, gradient: Slot) -> Option<Pull> {
        let Stored::Pulled { values: weights, mask } = self.stored else { return None };
        let anchor = self.anchor()?;
        Some(Pull { weights, mask, anchor, gradient, len: self.len, penalty: self.penalty })
    }

    /// [`ANCHOR`], where it has one.
    pub fn anchor(&self) -> Option<Slot> {
        self.slots.iter().find(|(name, _)| *name == ANCHOR).map(|&(_, slot)| slot)
    }

    /// It as a matrix by its output units.
    pub fn units(&self) -> Units {
        node::units(&self.shape, self.layout)
    }

    /// Where its values are, one f32 a weight.
    ///
    /// # Errors
    /// [`Error::Shape`] for one that is packed.
    pub fn values(&self) -> Result<Slot> {
        self.stored.values().ok_or_else(|| is_packed(&self.name))
    }
}

pub(super) fn is_packed(name: &str) -> Error {
    let message = "is packed: forward products read it, and nothing else reads or moves it; make it \
                   dense for that";
    Error::shape(name, message)
}
