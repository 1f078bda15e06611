//! Losses of a graph, and the launches that also count right rows.
use super::lower::Lowering;
use super::{Graph, LABELS, Op, Shape, TARGETS, Tensor};
use crate::kernels::{LogLoss, PairSum, SigmoidCrossEntropy, SoftmaxCrossEntropy, SquaredError};
use crate::{Error, Result};

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
        self.loss(Op::SoftmaxCrossEntropy { smoothing }, logits, labels)
    }

    /// Mean binary log loss `[1]` of the sigmoid of `logits [batch, 1]` against `labels [batch]` of
    /// 0 or 1.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes do not fit.
    pub fn log_loss(&mut self, logits: Tensor, labels: Tensor, epsilon: f32) -> Result<Tensor> {
        match self.shape(logits).dims() {
            [_, 1] => self.loss(Op::LogLoss { epsilon }, logits, labels),
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
        let op = Op::SquaredError;
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
        let op = Op::SigmoidCrossEntropy;
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
        node.op == Op::Labels && node.name == name
    }

    fn loss(&mut self, op: Op, logits: Tensor, labels: Tensor) -> Result<Tensor> {
        let rows = self.check_logits(op.name(), logits, labels)?;
        Ok(self.mean_loss(op, [logits, labels], rows))
    }

    fn mean_loss(&mut self, op: Op, inputs: [Tensor; 2], rows: u32) -> Tensor {
        let losses = self.push(op, inputs.into(), Shape::new([rows]), "losses");
        self.push(Op::ColumnSum, vec![losses], Shape::new([1]), "loss")
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

/// Whether a launch of `op` also says which rows are right.
fn tells_right_rows(op: Op) -> bool {
    matches!(op, Op::SoftmaxCrossEntropy { .. })
}

impl Lowering<'_> {
    /// Of a cross-entropy the count of right rows by the same logits and labels, and the other way
    /// round: one launch does both.
    fn beside(&self, tensor: Tensor) -> Option<Tensor> {
        let inputs = &self.graph.nodes[tensor.0].inputs;
        let losses = self.first(tells_right_rows, inputs)?;
        let correct = self.first(|op| op == Op::Correct, inputs)?;
        match tensor {
            _ if tensor == losses => Some(correct),
            _ if tensor == correct => Some(losses),
            _ => None,
        }
    }

    /// The sum that one launch makes together with the sum `tensor`: of losses and of right rows.
    pub(super) fn sum_beside(&self, tensor: Tensor) -> Option<Tensor> {
        let sum_of = |x: Tensor| self.first(|op| op == Op::ColumnSum, &[x]);
        let x = self.graph.nodes[tensor.0].inputs[0];
        let other = self.beside(x)?;
        (sum_of(x)? == tensor).then(|| sum_of(other)).flatten()
    }

    pub(super) fn pair_sum(&mut self, [tensor, other]: [Tensor; 2]) -> Result<()> {
        let [x, y] = [tensor, other].map(|sum| self.graph.nodes[sum.0].inputs[0]);
        let len = self.elements(x)?;
        let of = [self.slot(x)?, self.slot(y)?];
        let sums = [self.output(tensor)?, self.output(other)?];
        self.done[other.0] = true;
        PairSum { of, sums, len }.push(self.plan)
    }

    pub(super) fn loss(&mut self, tensor: Tensor) -> Result<()> {
        let node = &self.graph.nodes[tensor.0];
        match (node.op, node.inputs.as_slice()) {
            (Op::LossGradient, &[losses]) => {
                self.slots[tensor.0] = self.loss_gradients[losses.0];
                Ok(())
            }
            (Op::Correct, &[logits, labels]) => match self.beside(tensor) {
                Some(losses) => {
                    self.done[losses.0] = true;
                    self.losses(losses, logits, labels)
                }
                None => self.metric(tensor),
            },
            (_, &[logits, labels]) => self.losses(tensor, logits, labels),
            _ => Err(self.lacks(tensor)),
        }
    }

    fn losses(&mut self, tensor: Tensor, logits: Tensor, labels: Tensor) -> Result<()> {
        let ([batch, classes], repeat) = (self.matrix(logits)?, self.repeat(labels));
        let beside = self.beside(tensor);
        let name = format!("grad/{}", self.graph.nodes[logits.0].name);
        let gradient = self.plan.scratch(name, self.elements(logits)?);
        self.loss_gradients[tensor.0] = Some(gradient);
        let (logits, labels, step) = (self.slot(logits)?, self.slot(labels)?, self.bindings.step);
        let losses = self.output(tensor)?;
        // Where there are targets, a row is all that belongs to one of the batch.
        let rows = self.elements(tensor)?;
        let columns = batch * classes / rows.max(1);
        match self.graph.nodes[tensor.0].op {
            Op::SquaredError => self.plan.push(SquaredError {
                x: logits,
                targets: labels,
                step,
                losses,
                gradient,
                batch: rows,
                columns,
            }),
            Op::SigmoidCrossEntropy => self.plan.push(SigmoidCrossEntropy {
                x: logits,
                targets: labels,
                step,
                losses,
                gradient,
                batch: rows,
                columns,
            }),
            Op::LogLoss { epsilon } => {
                self.plan.push(LogLoss { logits, labels, step, losses, gradient, batch, epsilon })
            }
            Op::SoftmaxCrossEntropy { smoothing } => {
                let correct = match beside {
                    Some(correct) => self.output(correct)?,
                    None => self.plan.scratch("correct rows", rows),
                };
                beside.into_iter().for_each(|correct| self.done[correct.0] = true);
                self.plan.push(SoftmaxCrossEntropy {
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
                })
            }
            _ => Err(self.lacks(tensor)),
        }
    }

    /// Labels for each row of the batch.
    pub(super) fn repeat(&self, labels: Tensor) -> u32 {
        self.graph.shape(labels).dims()[1..].iter().product()
    }
}
