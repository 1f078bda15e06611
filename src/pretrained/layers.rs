//! Layers of a pretrained network: nodes of a graph, and the tensors of the file behind them.
use std::collections::HashMap;

use super::positions::Cached;
use crate::graph::{AttentionOptions, Conv2dOptions, Graph, Shape, Tensor};
use crate::kernels::Activation;
use crate::{Error, Result};

/// How a parameter of the graph lies in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arranged {
    /// The same elements in the same order; extents of 1 may be more or fewer.
    Same,
    /// A kernel `[outputs, inputs, height, width]`, which the graph has as `[height, width, inputs,
    /// outputs]`.
    Kernel,
    /// Running means, and variances behind them: two tensors of the file, `[channels]` each.
    Moments,
}

/// A parameter and where its values come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its name in the graph: that of the file without what [`Layers`] has in front.
    pub name: String,
    /// The tensors of the file, by name without the same, with their extents.
    pub tensors: Vec<(String, Vec<usize>)>,
    /// How they become the parameter.
    pub arranged: Arranged,
}

/// A graph that is made layer by layer from the tensors of a file.
#[derive(Debug, Default)]
pub struct Layers {
    /// The graph so far.
    pub graph: Graph,
    /// Of each parameter of the graph where it comes from.
    pub sources: Vec<Source>,
    /// What is 0 where a position of a row is padding `[batch, length]`, where rows have any.
    pub seen: Option<Tensor>,
    /// In front of the names of parameters in the graph.
    copy: &'static str,
    /// Taken off the names of tensors: what is the same in all names of a block.
    prefix: String,
    /// Whether products inside of blocks may be pruned.
    masks: bool,
    declared: HashMap<String, Tensor>,
    /// Tensors of the file that are constants and no parameters, by their names.
    given: Option<HashMap<String, Vec<f32>>>,
    /// Rotary positions that blocks share: frequencies, length, table.
    pub(super) turns: Vec<(Vec<f32>, u32, Tensor)>,
    /// Where a sequence goes through part by part.
    pub(super) cached: Option<Cached>,
}

impl Layers {
    /// An empty graph, whose parameters are named as in the file but for `prefix`.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), ..Self::default() }
    }

    /// Layers that are added to `graph` and never learn: their tensors are constants of the values
    /// in `given`, with `copy` in front of their names.
    pub(crate) fn given(
        graph: Graph,
        copy: &'static str,
        given: HashMap<String, Vec<f32>>,
    ) -> Self {
        Self { graph, copy, given: Some(given), ..Self::default() }
    }

    /// From here on the same tensors of the file are other parameters, with `copy` in front of their
    /// names.
    pub(crate) fn again(&mut self, copy: &'static str) {
        self.copy = copy;
        self.declared.clear();
    }

    /// From here on weights of products can be pruned, or not.
    pub fn can_prune(&mut self, masks: bool) {
        self.masks = masks;
    }

    fn source(
        &mut self,
        name: &str,
        tensors: Vec<(String, Vec<usize>)>,
        arranged: Arranged,
    ) -> String {
        let strip = |name: &str| name.strip_prefix(&self.prefix).unwrap_or(name).to_owned();
        let tensors = tensors.into_iter().map(|(name, shape)| (strip(&name), shape)).collect();
        let name = format!("{}{}", self.copy, strip(name));
        self.sources.push(Source { name: name.clone(), tensors, arranged });
        name
    }

    /// The tensor `name` of the file as a parameter of `shape`; `file` are the file's extents, of
    /// as many elements.
    ///
    /// # Errors
    /// [`Error::Shape`] where the same name has had another shape.
    pub fn parameter_as(
        &mut self,
        name: &str,
        shape: impl Into<Shape>,
        file: &[u32],
    ) -> Result<Tensor> {
        let shape = shape.into();
        if let Some(&known) = self.declared.get(name) {
            if *self.graph.shape(known) != shape {
                let message = format!("it is {} and {shape}", self.graph.shape(known));
                return Err(Error::shape(name, message));
            }
            return Ok(known);
        }
        if let Some(given) = &mut self.given {
            let values = given.remove(name).unwrap_or_default();
            let tensor = self.graph.constant(&format!("{}{name}", self.copy), shape, values)?;
            self.declared.insert(name.to_owned(), tensor);
            return Ok(tensor);
        }
        let extents = file.iter().map(|&d| d as usize).collect();
        let local = self.source(name, vec![(name.to_owned(), extents)], Arranged::Same);
        let tensor = self.graph.parameter(local, shape)?;
        self.declared.insert(name.to_owned(), tensor);
        Ok(tensor)
    }

    /// The tensor `name` of the file, of `shape`, as a parameter.
    ///
    /// # Errors
    /// [`Error::Shape`] where the same name has had another shape.
    pub fn parameter(&mut self, name: &str, shape: &[u32]) -> Result<Tensor> {
        self.parameter_as(name, Shape::new(shape.to_vec()), shape)
    }

    /// Columns of `x`.
    pub fn width(&self, x: Tensor) -> u32 {
        self.graph.shape(x).dims().last().copied().unwrap_or(1)
    }

    /// `activation(x weight^T + bias)` by `name.weight [outputs, inputs]` and, where `bias`,
    /// `name.bias [outputs]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for an `x` without axes.
    pub fn linear(
        &mut self,
        x: Tensor,
        name: &str,
        outputs: u32,
        bias: bool,
        activation: Activation,
    ) -> Result<Tensor> {
        let weight = self.parameter(&format!("{name}.weight"), &[outputs, self.width(x)])?;
        self.graph.outputs_first(weight)?;
        self.product(x, weight, name, outputs, bias, activation)
    }

    /// The same by a weight `[inputs, outputs]`, as GPT-2 has them.
    ///
    /// # Errors
    /// As [`linear`](Self::linear).
    pub fn conv1d(
        &mut self,
        x: Tensor,
        name: &str,
        outputs: u32,
        activation: Activation,
    ) -> Result<Tensor> {
        let weight = self.parameter(&format!("{name}.weight"), &[self.width(x), outputs])?;
        self.product(x, weight, name, outputs, true, activation)
    }

    fn product(
        &mut self,
        x: Tensor,
        weight: Tensor,
        name: &str,
        outputs: u32,
        bias: bool,
        activation: Activation,
    ) -> Result<Tensor> {
        if self.masks {
            self.graph.apply_mask(weight)?;
        }
        let bias = match bias {
            true => Some(self.parameter(&format!("{name}.bias"), &[outputs])?),
            false => None,
        };
        self.graph.linear(x, weight, bias, activation)
    }

    /// The logits of `x` by the rows of `table [classes, columns]`, a table of tokens or a head.
    ///
    /// # Errors
    /// As [`linear`](Self::linear).
    pub fn logits(&mut self, x: Tensor, table: &str, classes: u32) -> Result<Tensor> {
        let table = self.parameter(table, &[classes, self.width(x)])?;
        self.graph.outputs_first(table)?;
        self.graph.linear(x, table, None, Activation::Identity)
    }

    /// Attention of `x` to itself: linear layers by `names` make queries, keys, values, and what
    /// follows, the first three and the last with `biases` or without.
    ///
    /// # Errors
    /// Of [`Graph::attend`].
    pub fn attention(
        &mut self,
        x: Tensor,
        names: [String; 4],
        [inner, outer]: [bool; 2],
        options: &AttentionOptions,
    ) -> Result<Tensor> {
        let (width, plain) = (self.width(x), Activation::Identity);
        let [queries, keys, values, out] = names;
        let mut inputs = Vec::new();
        for name in [queries, keys, values] {
            inputs.push(self.linear(x, &name, width, inner, plain)?);
        }
        let y = self.attend(&inputs, options)?;
        self.linear(y, &out, width, outer, plain)
    }

    /// The first position `[batch, width]` of `x [batch, length, width]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for another rank.
    pub fn first_position(&mut self, x: Tensor) -> Result<Tensor> {
        let first = self.graph.slice(x, 1, 0..1)?;
        let shape = [self.graph.shape(x).dims()[0], self.width(x)];
        self.graph.reshape(first, shape)
    }

    /// RMS norm of the last axis with the scale `name.weight`.
    ///
    /// # Errors
    /// [`Error::Argument`] for an epsilon that is not above 0.
    pub fn rms_norm(&mut self, x: Tensor, name: &str, epsilon: f64) -> Result<Tensor> {
        let x = self.graph.normalise(x, epsilon as f32, false)?;
        let scale = self.parameter(&format!("{name}.weight"), &[self.width(x)])?;
        self.graph.mul(x, scale)
    }

    /// Layer norm of the last axis with the scale `name.weight` and the shift `name.bias`.
    ///
    /// # Errors
    /// [`Error::Argument`] for an epsilon that is not above 0.
    pub fn layer_norm(&mut self, x: Tensor, name: &str, epsilon: f64) -> Result<Tensor> {
        let width = self.width(x);
        let x = self.graph.normalise(x, epsilon as f32, true)?;
        let scale = self.parameter(&format!("{name}.weight"), &[width])?;
        let x = self.graph.mul(x, scale)?;
        let shift = self.parameter(&format!("{name}.bias"), &[width])?;
        self.graph.add(x, shift)
    }

    /// Convolution of `x [batch, height, width, channels]` by `name.weight`, in the file `[outputs,
    /// channels, rows, columns]`, and where `bias` `name.bias [outputs]`.
    ///
    /// # Errors
    /// [`Error::Shape`] when they do not fit.
    pub fn convolution(
        &mut self,
        x: Tensor,
        name: &str,
        [outputs, rows, columns]: [u32; 3],
        bias: bool,
        options: Conv2dOptions,
    ) -> Result<Tensor> {
        let inputs = self.width(x) / options.groups.max(1);
        let full = format!("{name}.weight");
        let file = [outputs, inputs, rows, columns].map(|d| d as usize).to_vec();
        let local = self.source(&full, vec![(full.clone(), file)], Arranged::Kernel);
        let weight = self.graph.parameter(local, [rows, columns, inputs, outputs])?;
        if self.masks {
            self.graph.apply_mask(weight)?;
        }
        let bias = match bias {
            true => Some(self.parameter(&format!("{name}.bias"), &[outputs])?),
            false => None,
        };
        self.graph.conv2d(x, weight, bias, Activation::Identity, options)
    }

    /// Batch norm by the running statistics `name.running_mean` and `name.running_var`, with
    /// `name.weight` and `name.bias`. In training the batch's own statistics count, and the running
    /// ones move by a tenth.
    ///
    /// # Errors
    /// [`Error::Argument`] for an epsilon that is not above 0.
    pub fn batch_norm(&mut self, x: Tensor, name: &str, epsilon: f64) -> Result<Tensor> {
        let channels = self.width(x);
        let moment = |part: &str| (format!("{name}.running_{part}"), vec![channels as usize]);
        let tensors = vec![moment("mean"), moment("var")];
        let local = self.source(&format!("{name}.running"), tensors, Arranged::Moments);
        let running = self.graph.statistic(local, [2, channels], crate::graph::Init::Moments)?;
        let x = self.graph.batch_normalise(x, running, epsilon as f32, 0.9)?;
        let scale = self.parameter(&format!("{name}.weight"), &[channels])?;
        let x = self.graph.mul(x, scale)?;
        let shift = self.parameter(&format!("{name}.bias"), &[channels])?;
        self.graph.add(x, shift)
    }
}
