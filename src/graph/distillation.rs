//! The loss of a network that learns from another one.
use super::lower::Lowering;
use super::op::{Facts, Home, Operation};
use super::{Graph, Op, Tensor};
use crate::kernels::{self, check_distillation};
use crate::{Error, Result};

/// Inputs `logits`, `labels`, `teacher`: loss of each row over the number of rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distillation {
    /// What both logits are divided by.
    pub temperature: f32,
    /// How much of the loss is the teacher's.
    pub share: f32,
}

impl Graph {
    /// Mean `[1]` of `share * T^2 * KL(softmax(teacher / T) || softmax(logits / T))` and `1 -
    /// share` of the softmax cross-entropy, for `logits [..., classes]`, the `teacher`'s of the
    /// same shape and `labels [...]`, over the batch and, where the labels have a second axis, its
    /// positions (Hinton et al. 2015). No gradient goes to the teacher.
    ///
    /// Where nothing else reads the teacher's logits, the gradient by the student's takes their
    /// memory.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes do not fit, [`Error::Argument`] for a temperature outside
    /// 0.001 to 1,000 or a share outside 0 to 1.
    pub fn distillation(
        &mut self,
        logits: Tensor,
        teacher: Tensor,
        labels: Tensor,
        temperature: f32,
        share: f32,
    ) -> Result<Tensor> {
        let op = Op::from(Distillation { temperature, share });
        check_distillation(temperature, share)
            .map_err(|message| Error::argument(op.name(), message))?;
        let rows = self.check_logits(op.name(), logits, labels)?;
        let (zs, ts) = (self.shape(logits), self.shape(teacher));
        if zs != ts {
            return Err(Error::shape(op.name(), format!("logits {zs} and the teacher's {ts} differ")));
        }
        Ok(self.mean_loss(op, [logits, labels, teacher], rows))
    }
}

impl Operation for Distillation {
    fn facts(&self) -> Facts {
        Facts { name: "distillation", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let [logits, labels, teacher] = lowering.inputs(tensor)?;
        let ([batch, classes], repeat) = (lowering.matrix(logits)?, lowering.repeat(labels));
        let teacher = lowering.consumed(teacher)?;
        // It holds the gradient behind the launch.
        lowering.seconds[tensor.0] = Some(teacher);
        let [logits, labels] = [lowering.slot(logits)?, lowering.slot(labels)?];
        let (step, losses) = (lowering.bindings.step, lowering.output(tensor)?);
        let &Self { temperature, share } = self;
        lowering.plan.push(kernels::Distillation {
            logits,
            labels,
            step,
            losses,
            teacher,
            batch,
            classes,
            repeat,
            temperature,
            share,
        })
    }

    fn is_loss(&self) -> bool {
        true
    }
}
