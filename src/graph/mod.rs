//! Floor 4: a model as a static graph, its gradients as more of the same graph, and its lowering to
//! launches.
//!
//! Pruning changes values, never shapes, so one graph serves a whole run.
mod accumulate;
mod autodiff;
mod f16;
mod lower;
mod node;
mod op;
mod packs;
mod product;
mod recompute;
mod shape;
mod skips;
mod stored;
mod tied;
mod weight;

pub use attention::AttentionOptions;
pub use autodiff::gradients;
pub use conv2d::{Conv2dOptions, Padding};
pub use lower::{Bindings, Mode, lower};
pub use node::{Init, Node, Parameter};
pub use packs::PackedUse;
pub use pool::PoolOptions;
pub use recurrent::{Gru, GruWeights, Lstm, LstmOptions, LstmWeights};
pub use rotary::{RotaryOptions, RotaryScaling, rotary_frequencies};
pub use shape::Shape;
pub use skips::Skips;
pub use stored::{MASK, RAW, Stored};
pub(crate) use stored::{Saved, effective_in_file};
pub use tied::{Member, Spread, Tied};
pub use weight::{ANCHOR, Weight};

use std::sync::Arc;

pub use crate::kernels::Layout;
use crate::{Error, Result};

op::ops! {
    source: Features, Labels, Constant, Parameter;
    linear: Matmul;
    conv2d: Conv2d;
    reshape: Reshape;
    section: Slice, Pad;
    elementwise: Add, Mul, Activate, Gate, Dropout, ColumnSum;
    pool: Pool, PoolGradient;
    lrn: LrnScale, Lrn, LrnGradient;
    norm: Normalise, NormaliseGradient, Softmax, SoftmaxGradient;
    batch_norm: Moments, BatchNormalise, BatchNormaliseGradient;
    embedding: Embedding, EmbeddingGradient;
    attention: Attention, AttentionGradient, AttentionQueryGradient, AttentionKeyGradient;
    cached: Cache, CachedAttention;
    rotary: Rotary;
    recurrent: Lstm, LstmGradient, Gru, GruGradient, RecurrentGradient;
    losses: SoftmaxCrossEntropy, LogLoss, SquaredError, SigmoidCrossEntropy, LossGradient;
    distillation: Distillation;
    metrics: Correct, TopK, AbsoluteError, RightLabels;
}

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
    /// Values of the constants.
    constants: Vec<Arc<[f32]>>,
    /// Those of them that are weights with their outputs first.
    turned: Vec<Tensor>,
    /// Number of nodes at the end of each layer.
    layers: Vec<usize>,
    /// Layers of a segment that is computed again; 0 for none.
    recompute: usize,
}

impl Graph {
    /// A trainable tensor, with the initial values of its rank: [`Init::Glorot`] for rank 2 and
    /// more, else 0. Names are dotted and unique: `fc1.weight`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that is taken.
    pub fn parameter(
        &mut self,
        name: impl Into<String>,
        shape: impl Into<Shape>,
    ) -> Result<Tensor> {
        let shape = shape.into();
        let init = if shape.rank() >= 2 { Init::Glorot } else { Init::Constant(0.0) };
        self.parameter_with(name, shape, init)
    }

    /// A trainable tensor with initial values of one's choice.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that is taken.
    pub fn parameter_with(
        &mut self,
        name: impl Into<String>,
        shape: impl Into<Shape>,
        init: Init,
    ) -> Result<Tensor> {
        self.declare(name.into(), shape.into(), init, true)
    }

    /// A tensor that lives as long as the parameters, and that no optimizer moves: running
    /// statistics.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that is taken.
    pub fn statistic(
        &mut self,
        name: impl Into<String>,
        shape: impl Into<Shape>,
        init: Init,
    ) -> Result<Tensor> {
        self.declare(name.into(), shape.into(), init, false)
    }

    fn declare(
        &mut self,
        name: String,
        shape: Shape,
        init: Init,
        trainable: bool,
    ) -> Result<Tensor> {
        if self.parameters.iter().any(|p| p.name == name) {
            return Err(Error::argument(name, "a parameter of this name is there already"));
        }
        let tensor = self.push(ops::Parameter, vec![], shape.clone(), &name);
        self.parameters.push(Parameter {
            name,
            shape,
            tensor,
            layout: Layout::InOut,
            masked: false,
            trainable,
            frozen: false,
            init,
            decay: 0.0,
            carried: false,
        });
        Ok(tensor)
    }

    /// Says that the output units of `weight` are its first axis, as torch has linear layers:
    /// [`linear`](Self::linear) then multiplies with its transpose, and a pruning takes its rows
    /// for the units. No copy is made.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `weight` is a parameter or a constant of rank 2.
    pub fn outputs_first(&mut self, weight: Tensor) -> Result<Tensor> {
        let node = &self.nodes[weight.0];
        if matches!(node.op, Op::Constant(_)) && node.shape.rank() == 2 {
            self.turned.push(weight);
            return Ok(weight);
        }
        let parameter = self.parameters.iter_mut().find(|p| p.tensor == weight);
        let parameter = parameter.filter(|p| p.shape.rank() == 2).ok_or_else(|| {
            let (name, shape) = (&self.nodes[weight.0].name, &self.nodes[weight.0].shape);
            let message = format!("{name} {shape} is not a parameter of rank 2");
            Error::shape("outputs_first", message)
        })?;
        parameter.layout = Layout::OutIn;
        Ok(weight)
    }

    /// Which axis the output units of `weight` are.
    fn layout_of(&self, weight: Tensor) -> Layout {
        let constant = if self.turned.contains(&weight) { Layout::OutIn } else { Layout::InOut };
        self.parameters.iter().find(|p| p.tensor == weight).map_or(constant, |p| p.layout)
    }

    /// Gives `weight` a mask: products use `mask * weight`, and a pruning can choose its bits. To a
    /// pruning it is a matrix whose columns, the output units, are its last axis, or whose rows
    /// they are after [`outputs_first`](Self::outputs_first).
    ///
    /// # Errors
    /// [`Error::Shape`] unless `weight` is a parameter of rank 2 or more: biases are never pruned.
    pub fn apply_mask(&mut self, weight: Tensor) -> Result<Tensor> {
        let parameter = self.parameters.iter_mut().find(|p| p.tensor == weight);
        let parameter =
            parameter.filter(|p| p.shape.rank() >= 2 && p.trainable).ok_or_else(|| {
                let (name, shape) = (&self.nodes[weight.0].name, &self.nodes[weight.0].shape);
                Error::shape(
                    "apply_mask",
                    format!("{name} {shape} is not a parameter of rank 2 or more"),
                )
            })?;
        parameter.masked = true;
        Ok(weight)
    }

    /// Lets `weight` stay what it is given: it has no gradient, no mask and nothing of an optimizer,
    /// and checkpoints leave it out, so that whoever goes on from one gives it again.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `weight` is trainable.
    pub fn freeze(&mut self, weight: Tensor) -> Result<()> {
        let parameter = self.parameters.iter_mut().find(|p| p.tensor == weight && p.trainable);
        let parameter = parameter.ok_or_else(|| {
            let name = &self.nodes[weight.0].name;
            Error::shape("freeze", format!("{name} is not a trainable parameter"))
        })?;
        (parameter.trainable, parameter.masked, parameter.frozen) = (false, false, true);
        Ok(())
    }

    /// Gives `weight` a decay of its own, whatever the optimizer's: the gradient of `decay / 2 *
    /// sum of weight^2`, upstream's `weights_regularizer`, which sees the weight without its mask.
    ///
    /// # Errors
    /// [`Error::Argument`] for a decay below 0, [`Error::Shape`] unless `weight` is trainable.
    pub fn weight_decay(&mut self, weight: Tensor, decay: f32) -> Result<()> {
        if !(decay.is_finite() && decay >= 0.0) {
            return Err(Error::argument("weight_decay", format!("{decay} must be at least 0")));
        }
        let parameter = self.parameters.iter_mut().find(|p| p.tensor == weight && p.trainable);
        let parameter = parameter.ok_or_else(|| {
            let name = &self.nodes[weight.0].name;
            Error::shape("weight_decay", format!("{name} is not a trainable parameter"))
        })?;
        parameter.decay = decay;
        Ok(())
    }

    /// Trainable tensors and statistics, in the order of their declaration.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Values of the constants, in the order of their declaration.
    pub fn constants(&self) -> &[Arc<[f32]>] {
        &self.constants
    }

    /// Takes the constants of `other` in the place of its own that are equal to the bit, so that a
    /// plan of both has them once.
    pub(crate) fn share_constants(&mut self, other: &Self) {
        let same = |x: &[f32], y: &[f32]| {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| x.to_bits() == y.to_bits())
        };
        for own in &mut self.constants {
            if let Some(known) = other.constants.iter().find(|known| same(known, own)) {
                *own = known.clone();
            }
        }
    }

    /// Shape of `tensor`.
    pub fn shape(&self, tensor: Tensor) -> &Shape {
        &self.nodes[tensor.0].shape
    }

    /// All nodes; a [`Tensor`] is an index into them.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The tensor that the node at `place` makes.
    pub(crate) fn tensor(&self, place: usize) -> Option<Tensor> {
        (place < self.nodes.len()).then_some(Tensor(place))
    }

    /// Name of the layer that `weight` belongs to.
    fn layer_of(&self, weight: Tensor) -> String {
        self.nodes[weight.0].name.trim_end_matches(".weight").to_owned()
    }

    fn push(&mut self, op: impl Into<Op>, inputs: Vec<Tensor>, shape: Shape, name: &str) -> Tensor {
        self.nodes.push(Node { op: op.into(), inputs, shape, name: name.to_owned() });
        Tensor(self.nodes.len() - 1)
    }
}
