//! Which weights may be packed ([`PackedMatrix`](crate::kernels::PackedMatrix)), and what multiplies
//! with them.
use super::{Graph, Node, Parameter, Tensor};
use crate::{Error, Result};

/// How the forward pass multiplies with a weight that may be packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PackedUse {
    /// The operation that reads it: `matmul`, `conv2d`, `lstm`, `gru`.
    pub operation: &'static str,
    /// The most rows that a product multiplies with it: of a batch, of the pixels of a
    /// convolution's results, of one time of a recurrent layer.
    pub rows: u32,
    /// Inputs of the product of so many rows where the weight is dense: all of the weight's, but of
    /// a recurrent layer those of its state. What a layer's inputs add is then one product of all
    /// times, where a packed weight is multiplied with both at each time.
    pub inputs: u32,
    /// Whether patches of images are written for it, which a dense convolution does without.
    pub patches: bool,
}

impl PackedUse {
    /// By `operation`, with so many rows and inputs.
    pub(super) fn new(operation: &'static str, rows: u32, inputs: u32) -> Self {
        Self { operation, rows, inputs, patches: false }
    }

    /// What both ask of one weight.
    fn and(self, other: Self) -> Self {
        Self {
            operation: self.operation,
            rows: self.rows.max(other.rows),
            inputs: self.inputs.min(other.inputs),
            patches: self.patches || other.patches,
        }
    }
}

impl Graph {
    /// How the forward pass multiplies with `weight`, where nothing but products that can do
    /// without its zeros reads it: then it may be packed
    /// ([`PackedMatrix`](crate::kernels::PackedMatrix)).
    ///
    /// # Errors
    /// Says what cannot: `embedding reads all of it`.
    pub fn packs(&self, weight: Tensor) -> std::result::Result<PackedUse, String> {
        let mut found: Option<PackedUse> = None;
        for node in &self.nodes {
            let places = node.inputs.iter().enumerate().filter(|(_, input)| **input == weight);
            for (place, _) in places {
                let one = node.op.operation().packs(self, node, place)?;
                found = Some(found.map_or(one, |before| before.and(one)));
            }
        }
        found.ok_or_else(|| "nothing multiplies with it".to_owned())
    }

    /// A graph that does nothing but what the first reader of `weight` does, with a parameter for
    /// each of that operation's inputs: the graph, the weight and the output in it.
    ///
    /// # Errors
    /// [`Error::Argument`] for a tensor that nothing reads.
    pub fn alone(&self, weight: Tensor) -> Result<(Self, Tensor, Tensor)> {
        let Some(node) = self.nodes.iter().find(|n| n.inputs.contains(&weight)) else {
            let name = &self.nodes[weight.0].name;
            return Err(Error::argument(name, "nothing reads it"));
        };
        let (mut graph, mut of_weight) = (Self::default(), weight);
        let mut inputs = Vec::new();
        for (place, &input) in node.inputs.iter().enumerate() {
            let before = node.inputs[..place].iter().position(|&other| other == input);
            let tensor = match before {
                Some(before) => inputs[before],
                None => graph.parameter(format!("input{place}"), self.shape(input).clone())?,
            };
            if input == weight {
                of_weight = tensor;
            }
            inputs.push(tensor);
        }
        let Node { op, shape, name, .. } = node.clone();
        let output = graph.push(op, inputs, shape, &name);
        Ok((graph, of_weight, output))
    }

    /// The weights that a pruning may give zeros and that no product can do without, with what
    /// reads them.
    pub fn unpackable(&self) -> Vec<(&Parameter, String)> {
        let masked = self.parameters.iter().filter(|p| p.masked);
        masked.filter_map(|p| Some((p, self.packs(p.tensor).err()?))).collect()
    }
}
