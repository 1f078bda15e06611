//! Losses of a graph, and the count of right rows.
use super::{Graph, Op, Shape, Tensor};
use crate::{Error, Result};

impl Graph {
    /// Mean softmax cross-entropy `[1]` of `logits [..., classes]` against `labels [...]`, over the batch and,
    /// where the labels have a second axis, its places.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes do not fit.
    pub fn softmax_cross_entropy(&mut self, logits: Tensor, labels: Tensor) -> Result<Tensor> {
        self.smoothed_cross_entropy(logits, labels, 0.0)
    }

    /// As [`softmax_cross_entropy`](Self::softmax_cross_entropy), against `1 - smoothing` at the label and
    /// `smoothing / classes` everywhere (Szegedy et al. 2016).
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes do not fit, [`Error::Argument`] for a smoothing outside 0 to 1.
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

    /// Mean binary log loss `[1]` of the sigmoid of `logits [batch, 1]` against `labels [batch]` of 0 or 1.
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

    fn loss(&mut self, op: Op, logits: Tensor, labels: Tensor) -> Result<Tensor> {
        let rows = self.check_logits(op.name(), logits, labels)?;
        let losses = self.push(op, vec![logits, labels], Shape::new([rows]), "losses");
        Ok(self.push(Op::ColumnSum, vec![losses], Shape::new([1]), "loss"))
    }

    /// Number of rows, or places, `[1]` whose label has the highest logit.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes do not fit.
    pub fn correct(&mut self, logits: Tensor, labels: Tensor) -> Result<Tensor> {
        let rows = self.check_logits("correct", logits, labels)?;
        let rows = self.push(Op::Correct, vec![logits, labels], Shape::new([rows]), "correct rows");
        Ok(self.push(Op::ColumnSum, vec![rows], Shape::new([1]), "correct"))
    }

    /// Rows of the logits, one for each label.
    fn check_logits(&self, op: &str, logits: Tensor, labels: Tensor) -> Result<u32> {
        let (zs, ys) = (self.shape(logits), self.shape(labels));
        match (zs.dims(), ys.elements()) {
            ([leading @ .., _], Some(rows)) if leading == ys.dims() => Ok(rows),
            _ => Err(Error::shape(op, format!("logits {zs} and labels {ys} differ in rows"))),
        }
    }
}
