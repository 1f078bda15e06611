//! Along which axis a tensor's inputs lie: what else the file holds helps to tell.
use std::collections::HashMap;

use super::names::{is_conv1d_name, widens};
use crate::storage::TensorInfo;

/// The axis of the inputs of PyTorch's layers: `[out, in]`, `[out, in, height, width]`.
pub(super) const OUT_IN: usize = 1;

/// The axis of the inputs where the outputs are the last one: `[in, out]`, `[height, width, in,
/// out]`.
pub(super) fn in_out(tensor: &TensorInfo) -> usize {
    tensor.shape.len().saturating_sub(2)
}

/// Whether groups of `m` along an axis of `extent` leave a rest.
pub fn is_ragged(extent: usize, m: u32) -> bool {
    !extent.is_multiple_of(m as usize)
}

/// The tensors of one checkpoint by name, and what they say together.
pub(super) struct File<'a> {
    tensors: HashMap<&'a str, &'a TensorInfo>,
    /// Whether its `c_attn`, `c_fc` and `c_proj` are GPT-2's `Conv1D`, `[in, out]`; `None` where
    /// none of them says.
    conv1d: Option<bool>,
    /// Whether it has kernels over images or sequences.
    pub(super) convolves: bool,
    /// The highest number of a `classifier.N` by what is before the number.
    classifiers: HashMap<&'a str, usize>,
}

impl<'a> File<'a> {
    pub(super) fn new(tensors: &[&'a TensorInfo]) -> Self {
        let mut classifiers = HashMap::new();
        for (stem, number) in tensors.iter().filter_map(|t| classifier(&t.name)) {
            let highest = classifiers.entry(stem).or_insert(number);
            *highest = number.max(*highest);
        }
        // The larger axis of layers that widen what they read is that of the outputs.
        let wide = tensors.iter().filter(|t| widens(&t.name) && t.shape.len() == 2);
        let votes = wide.map(|t| t.shape[1].cmp(&t.shape[0]) as i32);
        let conv1d = match votes.sum::<i32>() {
            0 => None,
            vote => Some(vote > 0),
        };
        let convolves = tensors.iter().any(|t| t.name.ends_with("weight") && t.shape.len() >= 4);
        let tensors = tensors.iter().map(|t| (t.name.as_str(), *t)).collect();
        Self { tensors, conv1d, convolves, classifiers }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a TensorInfo> {
        self.tensors.get(name).copied()
    }

    /// Whether this is the last of several layers `classifier.N`.
    pub(super) fn is_last_classifier(&self, name: &str) -> bool {
        classifier(name).is_some_and(|(stem, n)| self.classifiers.get(stem) == Some(&n))
    }

    /// The axis of the inputs of a layer `[out, in, ...]`, and how it was found: its bias says when
    /// the file has it the other way round, as GPT-2's `Conv1D` and transposed convolutions do.
    pub(super) fn axis(&self, tensor: &TensorInfo) -> (usize, &'static str) {
        let (rank, shape) = (tensor.shape.len(), &tensor.shape);
        let outputs = self.outputs(tensor);
        let is = |axis: usize| outputs == Some(shape[axis]);
        if rank == 2 && is_conv1d_name(&tensor.name) {
            match self.conv1d {
                Some(true) => return (0, "GPT-2's Conv1D, [in, out]"),
                None if is(1) && !is(0) => return (0, "GPT-2's Conv1D, [in, out], by its bias"),
                Some(false) | None => {}
            }
        }
        match (is(0), is(1), rank) {
            (false, true, 2) => (0, "a linear layer [in, out], by the length of its bias"),
            (false, true, _) => {
                (0, "a transposed convolution [in, out, ...], by the length of its bias")
            }
            (_, _, 2) => (OUT_IN, "a linear layer [out, in]"),
            _ => (OUT_IN, "a convolution [out, in, ...]"),
        }
    }

    /// Whether it has a name of GPT-2's, and nothing in the file says which way round it is.
    pub(super) fn leaves_open(&self, tensor: &TensorInfo) -> bool {
        is_conv1d_name(&tensor.name) && self.conv1d.is_none() && self.outputs(tensor).is_none()
    }

    /// How many outputs its bias has.
    fn outputs(&self, tensor: &TensorInfo) -> Option<usize> {
        let stem = tensor.name.strip_suffix("weight")?;
        let bias = self.get(&format!("{stem}bias"))?;
        if let [outputs] = *bias.shape { Some(outputs) } else { None }
    }

    /// The axis of the inputs of the experts of one layer, `[experts, ., .]`, by what the other of
    /// `gate_up_proj` and `down_proj` has: the first is twice as wide as the second reads.
    pub(super) fn experts_axis(&self, tensor: &TensorInfo) -> Option<usize> {
        let name = tensor.name.replace("gate_up_proj", "down_proj");
        let [wide, narrow] =
            [self.get(&name.replace("down_proj", "gate_up_proj")), self.get(&name)];
        let (&[_, a, b], &[_, c, d]) = (&*wide?.shape, &*narrow?.shape) else { return None };
        match (a == d && b == 2 * c, b == c && a == 2 * d) {
            (true, false) => Some(1),
            (false, true) => Some(2),
            _ => None,
        }
    }
}

/// What is before the number of a layer `classifier.N`, and the number.
fn classifier(name: &str) -> Option<(&str, usize)> {
    let (stem, number) = name.strip_suffix(".weight")?.rsplit_once('.')?;
    let number = number.parse().ok()?;
    (stem == "classifier" || stem.ends_with(".classifier")).then_some((stem, number))
}
