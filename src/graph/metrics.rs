//! Metrics of a graph: what is counted beside a loss. No gradient goes through any of them.
use super::lower::Lowering;
use super::op::{Facts, Home, Operation};
use super::ops::ColumnSum;
use super::{Graph, Op, Shape, Tensor};
use crate::gpu::Slot;
use crate::kernels;
use crate::{Error, Result};

/// Inputs `logits`, `labels`: 1 for each row that is right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correct;

/// Inputs `logits`, `labels`: 1 for each row whose label is among the highest logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TopK {
    /// How many are the highest.
    pub k: u32,
}

/// Inputs `predictions`, `targets`: mean absolute error of each row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AbsoluteError;

/// Inputs `logits`, `targets`: share of each row's labels that are right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RightLabels;

impl Graph {
    /// Number of rows, or positions, `[1]` whose label has the highest logit.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes do not fit.
    pub fn correct(&mut self, logits: Tensor, labels: Tensor) -> Result<Tensor> {
        let rows = self.check_logits("correct", logits, labels)?;
        let rows = self.push(Correct, vec![logits, labels], Shape::new([rows]), "correct rows");
        Ok(self.push(ColumnSum, vec![rows], Shape::new([1]), "correct"))
    }

    /// Number of rows, or positions, `[1]` of `logits [..., classes]` whose label in `labels [...]`
    /// is among the `k` highest logits; of equal logits that of the lower class number is higher. A
    /// label whose logit is NaN is never right, and with `k` of all classes or more every other one
    /// is. With `k = 1` it is what [`correct`](Self::correct) counts. A single logit is that of
    /// class 1 against 0 for class 0.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes do not fit, [`Error::Argument`] for a `k` of 0.
    pub fn top_k(&mut self, logits: Tensor, labels: Tensor, k: u32) -> Result<Tensor> {
        if k == 0 {
            return Err(Error::argument("top_k", "k is 0, must be 1 or more"));
        }
        let op = Op::from(TopK { k });
        let rows = self.check_logits(op.name(), logits, labels)?;
        Ok(self.sum_of_rows(op, [logits, labels], rows))
    }

    /// The sum `[1]`, over the valid rows, of the mean absolute error of each row, which is the
    /// mean of `|prediction - target|` over the row's elements. `predictions` are `[batch, ...]`
    /// and `targets` have the same shape. Divided by the number of rows it is the mean absolute
    /// error over all elements, also where it is summed over several batches.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes differ or have no axes, or the targets are class numbers.
    pub fn absolute_error(&mut self, predictions: Tensor, targets: Tensor) -> Result<Tensor> {
        let op = Op::from(AbsoluteError);
        let rows = self.check_targets(op.name(), "predictions", predictions, targets)?;
        Ok(self.sum_of_rows(op, [predictions, targets], rows))
    }

    /// The sum `[1]`, over the valid rows, of the share of each row's labels that are right: where
    /// the logit is above 0 just if the target is above 0.5, for `logits [batch, n]` and `targets
    /// [batch, n]`. Divided by the number of rows it is the share of all labels. A NaN logit is
    /// never right.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes differ or are not of rank 2, or the targets are class
    /// numbers.
    pub fn right_labels(&mut self, logits: Tensor, targets: Tensor) -> Result<Tensor> {
        let op = Op::from(RightLabels);
        let rows = self.check_several_labels(op.name(), logits, targets)?;
        Ok(self.sum_of_rows(op, [logits, targets], rows))
    }

    fn sum_of_rows(&mut self, op: Op, inputs: [Tensor; 2], rows: u32) -> Tensor {
        let name = format!("{} rows", op.name());
        let of_rows = self.push(op, inputs.into(), Shape::new([rows]), &name);
        self.push(ColumnSum, vec![of_rows], Shape::new([1]), op.name())
    }
}

/// What the launch of a metric takes.
struct Metric {
    x: Slot,
    answers: Slot,
    step: Slot,
    out: Slot,
    batch: u32,
    classes: u32,
    repeat: u32,
    /// Of targets.
    rows: u32,
    columns: u32,
}

impl Lowering<'_> {
    fn metric(&mut self, tensor: Tensor) -> Result<Metric> {
        let [x, y] = self.inputs(tensor)?;
        let ([batch, classes], repeat) = (self.matrix(x)?, self.repeat(y));
        // Where there are targets, a row is all that belongs to one of the batch.
        let rows = self.elements(tensor)?;
        let columns = self.elements(x)? / rows.max(1);
        let (x, answers) = (self.slot(x)?, self.slot(y)?);
        let (step, out) = (self.bindings.step, self.output(tensor)?);
        Ok(Metric { x, answers, step, out, batch, classes, repeat, rows, columns })
    }
}

impl Operation for Correct {
    fn facts(&self) -> Facts {
        Facts { name: "correct", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        if let Some(losses) = lowering.beside(tensor) {
            lowering.done[losses.0] = true;
            let op = lowering.graph.nodes[losses.0].op;
            return op.operation().lower(lowering, losses);
        }
        let Metric { x: logits, answers: labels, step, out: correct, batch, classes, repeat, .. } =
            lowering.metric(tensor)?;
        lowering.plan.push(kernels::Correct {
            logits,
            labels,
            step,
            correct,
            batch,
            classes,
            repeat,
        })
    }
}

impl Operation for TopK {
    fn facts(&self) -> Facts {
        Facts { name: "top_k", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let Metric { x: logits, answers: labels, step, out: right, batch, classes, repeat, .. } =
            lowering.metric(tensor)?;
        let k = self.k;
        lowering.plan.push(kernels::TopK {
            logits,
            labels,
            step,
            right,
            batch,
            classes,
            repeat,
            k,
        })
    }
}

impl Operation for AbsoluteError {
    fn facts(&self) -> Facts {
        Facts { name: "absolute_error", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let Metric { x, answers: targets, step, out, rows: batch, columns, .. } =
            lowering.metric(tensor)?;
        lowering.plan.push(kernels::AbsoluteError { x, targets, step, out, batch, columns })
    }
}

impl Operation for RightLabels {
    fn facts(&self) -> Facts {
        Facts { name: "right_labels", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let Metric { x, answers: targets, step, out, rows: batch, columns, .. } =
            lowering.metric(tensor)?;
        lowering.plan.push(kernels::RightLabels { x, targets, step, out, batch, columns })
    }
}
