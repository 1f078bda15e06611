//! Floor 3: a model as a static graph, its gradients as more of the same graph, and its lowering to launches.
//!
//! Pruning changes values, never shapes, so one graph serves a whole run.
mod autodiff;
mod conv2d;
mod lower;
mod node;
mod shape;

pub use autodiff::gradients;
pub use conv2d::{Conv2dOptions, Padding};
pub use lower::{Homes, lower};
pub use node::{Node, Op, Parameter};
pub use shape::Shape;

use crate::kernels::{Activation, Form};
use crate::{Error, Result};

/// A tensor of a [`Graph`]: the output of one of its nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tensor(usize);

impl Tensor {
    /// Its place in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// Nodes in order: each reads only earlier ones.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    parameters: Vec<Parameter>,
}

impl Graph {
    /// The batch's features `[batch, width]`, written by the host before each step.
    pub fn features(&mut self, batch: u32, width: u32) -> Tensor {
        self.push(Op::Features, vec![], Shape::new([batch, width]), "features")
    }

    /// The batch's labels `[batch]`, class numbers written by the host before each step.
    pub fn labels(&mut self, batch: u32) -> Tensor {
        self.push(Op::Labels, vec![], Shape::new([batch]), "labels")
    }

    /// A trainable tensor. Names are dotted and unique: `fc1.weight`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that is taken.
    pub fn parameter(
        &mut self,
        name: impl Into<String>,
        shape: impl Into<Shape>,
    ) -> Result<Tensor> {
        let (name, shape) = (name.into(), shape.into());
        if self.parameters.iter().any(|p| p.name == name) {
            return Err(Error::argument(name, "a parameter of this name is there already"));
        }
        let tensor = self.push(Op::Parameter, vec![], shape.clone(), &name);
        self.parameters.push(Parameter { name, shape, tensor, masked: false });
        Ok(tensor)
    }

    /// Gives `weight` a mask: products use `mask * weight`, and a pruning can choose its bits. To a
    /// pruning it is a matrix whose columns, the output units, are its last axis.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `weight` is a parameter of rank 2 or more: biases are never pruned.
    pub fn apply_mask(&mut self, weight: Tensor) -> Result<Tensor> {
        let parameter = self.parameters.iter_mut().find(|p| p.tensor == weight);
        let parameter = parameter.filter(|p| p.shape.rank() >= 2).ok_or_else(|| {
            let (name, shape) = (&self.nodes[weight.0].name, &self.nodes[weight.0].shape);
            Error::shape(
                "apply_mask",
                format!("{name} {shape} is not a parameter of rank 2 or more"),
            )
        })?;
        parameter.masked = true;
        Ok(weight)
    }

    /// `activation(x w + bias)` for `x [rows, inputs]`, `w [inputs, outputs]` and `bias [outputs]`.
    ///
    /// # Errors
    /// [`Error::Shape`] names the shapes that do not fit.
    pub fn linear(
        &mut self,
        x: Tensor,
        weight: Tensor,
        bias: Option<Tensor>,
        activation: Activation,
    ) -> Result<Tensor> {
        let (xs, ws) = (self.shape(x).clone(), self.shape(weight).clone());
        let (&[rows, inputs], &[weight_rows, outputs]) = (xs.dims(), ws.dims()) else {
            return Err(Error::shape("linear", format!("x {xs} and weight {ws} need rank 2")));
        };
        if inputs != weight_rows {
            let message =
                format!("x {xs} has {inputs} columns, weight {ws} has {weight_rows} rows");
            return Err(Error::shape("linear", message));
        }
        if let Some(bias) = bias.map(|b| self.shape(b))
            && bias.dims() != [outputs]
        {
            return Err(Error::shape("linear", format!("bias {bias} must be [{outputs}]")));
        }
        let name = self.nodes[weight.0].name.trim_end_matches(".weight").to_owned();
        let inputs = [x, weight].into_iter().chain(bias).collect();
        let op = Op::Matmul { form: Form::NN, activation };
        Ok(self.push(op, inputs, Shape::new([rows, outputs]), &name))
    }

    /// Element-wise sum of two tensors of one shape.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes differ.
    pub fn add(&mut self, x: Tensor, y: Tensor) -> Result<Tensor> {
        let (xs, ys) = (self.shape(x).clone(), self.shape(y));
        if xs != *ys {
            return Err(Error::shape("add", format!("x {xs} and y {ys} differ")));
        }
        let name = format!("{}+{}", self.nodes[x.0].name, self.nodes[y.0].name);
        Ok(self.push(Op::Add, vec![x, y], xs, &name))
    }

    /// Mean softmax cross-entropy `[1]` of `logits [batch, classes]` against `labels [batch]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes do not fit.
    pub fn softmax_cross_entropy(&mut self, logits: Tensor, labels: Tensor) -> Result<Tensor> {
        self.loss(Op::SoftmaxCrossEntropy, logits, labels)
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
        let batch = self.check_logits(op.name(), logits, labels)?;
        let losses = self.push(op, vec![logits, labels], Shape::new([batch]), "losses");
        Ok(self.push(Op::ColumnSum, vec![losses], Shape::new([1]), "loss"))
    }

    /// Number of rows `[1]` whose label has the highest logit.
    ///
    /// # Errors
    /// [`Error::Shape`] when the shapes do not fit.
    pub fn correct(&mut self, logits: Tensor, labels: Tensor) -> Result<Tensor> {
        let batch = self.check_logits("correct", logits, labels)?;
        let rows =
            self.push(Op::Correct, vec![logits, labels], Shape::new([batch]), "correct rows");
        Ok(self.push(Op::ColumnSum, vec![rows], Shape::new([1]), "correct"))
    }

    fn check_logits(&self, op: &str, logits: Tensor, labels: Tensor) -> Result<u32> {
        let (zs, ys) = (self.shape(logits), self.shape(labels));
        match (zs.dims(), ys.dims()) {
            (&[batch, _], &[rows]) if batch == rows => Ok(batch),
            _ => Err(Error::shape(op, format!("logits {zs} and labels {ys} differ in rows"))),
        }
    }

    /// What the products multiply `weight` with, forward: the rows of each are a batch's.
    pub fn inputs_of(&self, weight: Tensor) -> Vec<Tensor> {
        let reads = |n: &&Node| {
            matches!(n.op, Op::Matmul { form: Form::NN, .. }) && n.inputs.get(1) == Some(&weight)
        };
        self.nodes.iter().filter(reads).map(|n| n.inputs[0]).collect()
    }

    /// Trainable tensors, in the order of their declaration.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Shape of `tensor`.
    pub fn shape(&self, tensor: Tensor) -> &Shape {
        &self.nodes[tensor.0].shape
    }

    /// All nodes; a [`Tensor`] is an index into them.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    fn push(&mut self, op: Op, inputs: Vec<Tensor>, shape: Shape, name: &str) -> Tensor {
        self.nodes.push(Node { op, inputs, shape, name: name.to_owned() });
        Tensor(self.nodes.len() - 1)
    }
}
