//! What a graph begins with: what the host writes, parameters, and constants.
use super::autodiff::Backward;
use super::lower::Lowering;
use super::op::{Facts, Home, Operation};
use super::{Graph, Shape, Tensor};
use crate::{Error, Result};

/// Name of class numbers that the host writes.
pub(super) const LABELS: &str = "labels";
/// Name of f32 targets that the host writes in their place.
pub(super) const TARGETS: &str = "targets";

/// Written by the host.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Features;

/// Written by the host: class numbers, or the bits of f32 targets.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Labels;

/// Numbers that never change, no part of the model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Constant {
    /// Its place in [`Graph::constants`].
    pub at: usize,
}

/// A trainable tensor, or one that lives as long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameter;

impl Graph {
    /// The batch's features `[batch, width]`, written by the host before each step.
    pub fn features(&mut self, batch: u32, width: u32) -> Tensor {
        self.push(Features, vec![], Shape::new([batch, width]), "features")
    }

    /// The batch's labels `[batch]`, class numbers written by the host before each step.
    pub fn labels(&mut self, batch: u32) -> Tensor {
        self.push(Labels, vec![], Shape::new([batch]), LABELS)
    }

    /// Labels `[batch, positions]`: one for each position of a sequence.
    pub fn position_labels(&mut self, batch: u32, positions: u32) -> Tensor {
        self.push(Labels, vec![], Shape::new([batch, positions]), LABELS)
    }

    /// Targets `[batch, width]` of [`mean_squared_error`](Self::mean_squared_error) and
    /// [`sigmoid_cross_entropy`](Self::sigmoid_cross_entropy), written by the host before each step
    /// in the place of labels: [`Batch::targets`](crate::data::Batch::targets).
    pub fn targets(&mut self, batch: u32, width: u32) -> Tensor {
        self.push(Labels, vec![], Shape::new([batch, width]), TARGETS)
    }

    /// `values` as a tensor of `shape`: a table that layers look up. It is in the plan and in no
    /// file, and no gradient goes to it.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is a value for each element.
    pub fn constant(
        &mut self,
        name: &str,
        shape: impl Into<Shape>,
        values: Vec<f32>,
    ) -> Result<Tensor> {
        let (shape, have) = (shape.into(), values.len());
        if have == 0 || shape.elements().map(|n| n as usize) != Some(have) {
            let message = format!("{name} {shape} has {have} values, needs one for each element");
            return Err(Error::shape("constant", message));
        }
        self.constants.push(values.into());
        let at = self.constants.len() - 1;
        Ok(self.push(Constant { at }, vec![], shape, name))
    }
}

impl Operation for Features {
    fn facts(&self) -> Facts {
        Facts { name: "features", home: Home::Bound, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        lowering.slot(tensor).map(|_| ())
    }

    fn gradient(&self, _: &mut Backward<'_>, _: Tensor, _: Tensor) -> Result<()> {
        Ok(())
    }
}

impl Operation for Labels {
    fn facts(&self) -> Facts {
        Facts { name: "labels", home: Home::Bound, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        lowering.slot(tensor).map(|_| ())
    }
}

impl Operation for Constant {
    fn facts(&self) -> Facts {
        Facts { name: "constant", home: Home::Bound, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let graph = lowering.graph;
        let (name, values) = (&graph.nodes[tensor.0].name, &graph.constants[self.at]);
        lowering.slots[tensor.0] = Some(lowering.plan.constant(name, values));
        Ok(())
    }

    fn gradient(&self, _: &mut Backward<'_>, _: Tensor, _: Tensor) -> Result<()> {
        Ok(())
    }
}

impl Operation for Parameter {
    fn facts(&self) -> Facts {
        Facts { name: "parameter", home: Home::Bound, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        match lowering.is_packed(tensor) {
            true => Ok(()),
            false => lowering.slot(tensor).map(|_| ()),
        }
    }

    fn gradient(&self, _: &mut Backward<'_>, _: Tensor, _: Tensor) -> Result<()> {
        Ok(())
    }
}
