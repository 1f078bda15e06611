//! Losses of a graph, and the launches that also count right rows.
use super::lower::Lowering;
use super::op::{Facts, Home, Operation};
use super::ops::{ColumnSum, Labels};
use super::source::{LABELS, TARGETS};
use super::{Graph, Op, Shape, Tensor};
use crate::gpu::Slot;
use crate::kernels::{self, PairSum};
use crate::{Error, Result};

/// Inputs `logits`, `labels`: loss of each row over the number of rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoftmaxCrossEntropy {
    /// Share of the target that is spread over all classes.
    pub smoothing: f32,
}

/// Inputs `logits`, `labels`: loss of each row over the number of rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogLoss {
    /// Added inside the logarithms.
    pub epsilon: f32,
}

/// Inputs `predictions`, `targets`: loss of each row over the numbers of rows and of their
/// elements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SquaredError;

/// Inputs `logits`, `targets`: loss of each row over the numbers of rows and of their elements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SigmoidCrossEntropy;

/// Input the losses of a loss: gradient of their sum by its first input. The loss's launch
/// writes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossGradient;

impl Graph {
    /// Mean softmax cross-entropy `[1]` of `logits [..., classes]` against `labels [...]`, over the
    /// batch and, where the labels have a second axis, its positions.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes do not fit.
    pub fn softmax_cross_entropy(&mut self, logits: Tensor, labels: Tensor) -> Result<Tensor> {
        self.smoothed_cross_entropy(logits, labels, 0.0)
    }

    /// As [`softmax_cross_entropy`](Self::softmax_cross_entropy), against `1 - smoothing` at the
    /// label and `smoothing / classes` everywhere (Szegedy et al. 2016).
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes do not fit, [`Error::Argument`] for a smoothing outside 0
    /// to 1.
    pub fn smoothed_cross_entropy(
        &mut self,
        logits: Tensor,
        labels: Tensor,
        smoothing: f32,
    ) -> Result<Tensor> {
        if !(0.0..=1.0).contains(&smoothing) {
            return Err(Error::argument("smoothing", format!("{smoothing} must be in 0 to 1")));
        }
        self.loss(SoftmaxCrossEntropy { smoothing }, logits, labels)
    }

    /// Mean binary log loss `[1]` of the sigmoid of `logits [batch, 1]` against `labels [batch]` of
    /// 0 or 1.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes do not fit.
    pub fn log_loss(&mut self, logits: Tensor, labels: Tensor, epsilon: f32) -> Result<Tensor> {
        match self.shape(logits).dims() {
            [_, 1] => self.loss(LogLoss { epsilon }, logits, labels),
            _ => {
                let shape = self.shape(logits);
                Err(Error::shape("log_loss", format!("logits {shape} must be [batch, 1]")))
            }
        }
    }

    /// Mean squared error `[1]` of `predictions [batch, ...]` against `targets` of the same shape,
    /// over the elements of the valid rows. Targets are what [`Graph::targets`] makes, the features
    /// themselves for an autoencoder, or any tensor: no gradient goes through them.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes differ or have no axes, or the targets are class numbers.
    pub fn mean_squared_error(&mut self, predictions: Tensor, targets: Tensor) -> Result<Tensor> {
        let op = Op::from(SquaredError);
        let batch = self.check_targets(op.name(), "predictions", predictions, targets)?;
        Ok(self.mean_loss(op, [predictions, targets], batch))
    }

    /// Mean binary cross-entropy `[1]` of the sigmoid of `logits [batch, n]` against `targets
    /// [batch, n]` in 0 to 1, over the elements of the valid rows: of several labels at once, none
    /// of which excludes another. Computed as `max(z, 0) - z t + ln(1 + exp(-|z|))`, which no logit
    /// overflows. No gradient goes through the targets.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes differ or are not of rank 2, or the targets are class
    /// numbers.
    pub fn sigmoid_cross_entropy(&mut self, logits: Tensor, targets: Tensor) -> Result<Tensor> {
        let op = Op::from(SigmoidCrossEntropy);
        let batch = self.check_several_labels(op.name(), logits, targets)?;
        Ok(self.mean_loss(op, [logits, targets], batch))
    }

    /// Rows of the batch, for logits and targets of several labels a row.
    pub(super) fn check_several_labels(
        &self,
        name: &str,
        logits: Tensor,
        targets: Tensor,
    ) -> Result<u32> {
        let zs = self.shape(logits);
        if zs.rank() != 2 {
            let message = format!("logits {zs} have rank {}, not 2", zs.rank());
            return Err(Error::shape(name, message));
        }
        self.check_targets(name, "logits", logits, targets)
    }

    /// Rows of the batch, for `x` that is called `is` and targets of its elements.
    pub(super) fn check_targets(
        &self,
        name: &str,
        is: &str,
        x: Tensor,
        targets: Tensor,
    ) -> Result<u32> {
        let (xs, ts) = (self.shape(x), self.shape(targets));
        let &[batch, ..] = xs.dims() else {
            return Err(Error::shape(name, format!("{is} {xs} have no axes, need rank 1 or more")));
        };
        if xs != ts {
            return Err(Error::shape(name, format!("{is} {xs} and targets {ts} differ")));
        }
        if self.holds(targets, LABELS) {
            let message = format!("targets {ts} are class numbers; make them by Graph::targets");
            return Err(Error::shape(name, message));
        }
        Ok(batch)
    }

    /// Whether `tensor` is the host's input of this name: the words of class numbers and those of
    /// targets are the same operation.
    fn holds(&self, tensor: Tensor, name: &str) -> bool {
        let node = &self.nodes[tensor.0];
        node.op == Op::Labels(Labels) && node.name == name
    }

    fn loss(
        &mut self,
        op: impl Into<Op>,
        logits: Tensor,
        labels: Tensor,
    ) -> Result<Tensor> {
        let op = op.into();
        let rows = self.check_logits(op.name(), logits, labels)?;
        Ok(self.mean_loss(op, [logits, labels], rows))
    }

    pub(super) fn mean_loss(
        &mut self,
        op: Op,
        inputs: impl Into<Vec<Tensor>>,
        rows: u32,
    ) -> Tensor {
        let losses = self.push(op, inputs.into(), Shape::new([rows]), "losses");
        self.push(ColumnSum, vec![losses], Shape::new([1]), "loss")
    }

    /// Rows of the logits, one for each label.
    pub(super) fn check_logits(&self, op: &str, logits: Tensor, labels: Tensor) -> Result<u32> {
        let (zs, ys) = (self.shape(logits), self.shape(labels));
        if self.holds(labels, TARGETS) {
            let message = format!("labels {ys} are f32 targets, must be class numbers");
            return Err(Error::shape(op, message));
        }
        match (zs.dims(), ys.elements()) {
            ([leading @ .., _], Some(rows)) if leading == ys.dims() => Ok(rows),
            _ => Err(Error::shape(op, format!("logits {zs} and labels {ys} differ in rows"))),
        }
    }
}

/// What the launch of a loss takes.
struct Losses {
    x: Slot,
    answers: Slot,
    step: Slot,
    losses: Slot,
    gradient: Slot,
    batch: u32,
    classes: u32,
    repeat: u32,
    /// Of targets.
    rows: u32,
    columns: u32,
}

impl Operation for SoftmaxCrossEntropy {
    fn facts(&self) -> Facts {
        Facts { name: "softmax_cross_entropy", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let beside = lowering.beside(tensor);
        let of = lowering.losses(tensor)?;
        let Losses { x: logits, answers: labels, step, losses, gradient, .. } = of;
        let (Losses { batch, classes, repeat, rows, .. }, smoothing) = (of, self.smoothing);
        let correct = match beside {
            Some(correct) => lowering.output(correct)?,
            None => lowering.plan.scratch("correct rows", rows),
        };
        beside.into_iter().for_each(|correct| lowering.done[correct.0] = true);
        let loss = kernels::SoftmaxCrossEntropy {
            logits,
            labels,
            step,
            losses,
            gradient,
            correct,
            batch,
            classes,
            repeat,
            smoothing,
        };
        let sums = beside.and_then(|correct| lowering.sums_of([tensor, correct]));
        let target = lowering.plan.target();
        match sums.filter(|_| kernels::CrossEntropySums::serves(batch, classes, target)) {
            Some(both) => {
                let sums = [lowering.output(both[0])?, lowering.output(both[1])?];
                both.into_iter().for_each(|sum| lowering.done[sum.0] = true);
                lowering.plan.push(kernels::CrossEntropySums { of: loss, sums })
            }
            None => loss.push(lowering.plan),
        }
    }

    fn is_loss(&self) -> bool {
        true
    }
}

impl Operation for LogLoss {
    fn facts(&self) -> Facts {
        Facts { name: "log_loss", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let Losses { x: logits, answers: labels, step, losses, gradient, batch, .. } =
            lowering.losses(tensor)?;
        let epsilon = self.epsilon;
        lowering.plan.push(kernels::LogLoss {
            logits,
            labels,
            step,
            losses,
            gradient,
            batch,
            epsilon,
        })
    }

    fn is_loss(&self) -> bool {
        true
    }
}

impl Operation for SquaredError {
    fn facts(&self) -> Facts {
        Facts { name: "squared_error", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let Losses { x, answers: targets, step, losses, gradient, rows: batch, columns, .. } =
            lowering.losses(tensor)?;
        lowering.plan.push(kernels::SquaredError {
            x,
            targets,
            step,
            losses,
            gradient,
            batch,
            columns,
        })
    }

    fn is_loss(&self) -> bool {
        true
    }
}

impl Operation for SigmoidCrossEntropy {
    fn facts(&self) -> Facts {
        Facts { name: "sigmoid_cross_entropy", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let Losses { x, answers: targets, step, losses, gradient, rows: batch, columns, .. } =
            lowering.losses(tensor)?;
        lowering.plan.push(kernels::SigmoidCrossEntropy {
            x,
            targets,
            step,
            losses,
            gradient,
            batch,
            columns,
        })
    }

    fn is_loss(&self) -> bool {
        true
    }
}

impl Operation for LossGradient {
    fn facts(&self) -> Facts {
        Facts { name: "loss_gradient", home: Home::Beside, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let [losses] = lowering.inputs(tensor)?;
        lowering.slots[tensor.0] = lowering.seconds[losses.0];
        Ok(())
    }
}

impl Lowering<'_> {
    /// Of a cross-entropy the count of right rows by the same logits and labels, and the other way
    /// round: one launch does both.
    pub(super) fn beside(&self, tensor: Tensor) -> Option<Tensor> {
        let inputs = &self.graph.nodes[tensor.0].inputs;
        let losses = self.first(|op| matches!(op, Op::SoftmaxCrossEntropy(_)), inputs)?;
        let correct = self.first(|op| matches!(op, Op::Correct(_)), inputs)?;
        match tensor {
            _ if tensor == losses => Some(correct),
            _ if tensor == correct => Some(losses),
            _ => None,
        }
    }

    /// The sum that one launch makes together with the sum `tensor`: of losses and of right rows.
    pub(super) fn sum_beside(&self, tensor: Tensor) -> Option<Tensor> {
        let x = self.graph.nodes[tensor.0].inputs[0];
        let [sum, other] = self.sums_of([x, self.beside(x)?])?;
        (sum == tensor).then_some(other)
    }

    /// The sums of both, where both are needed.
    fn sums_of(&self, [x, y]: [Tensor; 2]) -> Option<[Tensor; 2]> {
        let sum_of = |x: Tensor| self.first(|op| matches!(op, Op::ColumnSum(_)), &[x]);
        Some([sum_of(x)?, sum_of(y)?])
    }

    pub(super) fn pair_sum(&mut self, [tensor, other]: [Tensor; 2]) -> Result<()> {
        let [x, y] = [tensor, other].map(|sum| self.graph.nodes[sum.0].inputs[0]);
        let len = self.elements(x)?;
        let of = [self.slot(x)?, self.slot(y)?];
        let sums = [self.output(tensor)?, self.output(other)?];
        self.done[other.0] = true;
        PairSum { of, sums, len }.push(self.plan)
    }

    /// Of the losses `tensor` extents, operands, and the two outputs.
    fn losses(&mut self, tensor: Tensor) -> Result<Losses> {
        let [logits, labels] = self.inputs(tensor)?;
        let ([batch, classes], repeat) = (self.matrix(logits)?, self.repeat(labels));
        let name = format!("grad/{}", self.graph.nodes[logits.0].name);
        let gradient = self.plan.scratch(name, self.elements(logits)?);
        self.seconds[tensor.0] = Some(gradient);
        let (x, answers, step) = (self.slot(logits)?, self.slot(labels)?, self.bindings.step);
        let losses = self.output(tensor)?;
        // Where there are targets, a row is all that belongs to one of the batch.
        let rows = self.elements(tensor)?;
        let columns = batch * classes / rows.max(1);
        Ok(Losses { x, answers, step, losses, gradient, batch, classes, repeat, rows, columns })
    }

    /// Labels for each row of the batch.
    pub(super) fn repeat(&self, labels: Tensor) -> u32 {
        self.graph.shape(labels).dims()[1..].iter().product()
    }
}
