//! Activations that are not kept for the backward pass but computed again there (Chen et al. 2016).
//!
//! A segment's nodes are appended once more right before its gradients, which read these in place
//! of the first ones. The first ones are then free after their last forward reader, by the
//! planner's ordinary rule; what later segments read is kept.
use std::ops::Range;

use super::op::Home;
use super::{Graph, Tensor};
use crate::{Error, Result};

impl Graph {
    /// Ends a layer here: [`recompute`](Self::recompute) counts layers. Models do so themselves;
    /// what only gives a new shape is none.
    pub fn end_layer(&mut self) {
        let begin = self.layers.last().copied().unwrap_or(0);
        let idle = |home| matches!(home, Home::Bound | Home::Input);
        if !self.nodes[begin..].iter().all(|node| idle(node.op.home())) {
            self.layers.push(self.nodes.len());
        }
    }

    /// Lets the backward pass compute again what the forward pass makes within segments of `layers`
    /// layers, counted from the last; 0 keeps everything. The last segment is always kept: its
    /// gradients come first. Of the others only what later ones read is, and what recurrent layers
    /// leave to their gradients. No bit of any result changes.
    ///
    /// # Errors
    /// [`Error::Argument`] when all layers are in the last segment.
    pub fn recompute(&mut self, layers: usize) -> Result<()> {
        let have = self.layers.len();
        if layers > 0 && layers >= have {
            let way_out = match have {
                0 | 1 => "leave it out, or mark more layers by Graph::end_layer".to_owned(),
                _ => format!("use 1 to {}, or 0 for none", have - 1),
            };
            let message = format!(
                "{layers} layers a segment leave nothing to compute again in a network of {have}; {way_out}"
            );
            return Err(Error::argument("recompute", message));
        }
        self.recompute = layers;
        Ok(())
    }

    /// Number of layers that [`end_layer`](Self::end_layer) has ended.
    pub fn layers(&self) -> usize {
        self.layers.len()
    }
}

/// What the gradients of one loss read in place of what the forward pass made.
pub(super) struct Recompute {
    /// Nodes of the segments that the backward pass has not reached yet, in their order.
    segments: Vec<Range<usize>>,
    again: Vec<Option<Tensor>>,
}

impl Recompute {
    pub(super) fn new(graph: &Graph) -> Self {
        let mut ends: Vec<usize> = match graph.recompute {
            0 => Vec::new(),
            layers => graph.layers.iter().rev().copied().step_by(layers).collect(),
        };
        ends.reverse();
        // The last one stays as it is.
        ends.pop();
        let begins = [0].into_iter().chain(ends.iter().copied());
        let segments = begins.zip(ends.iter().copied()).map(|(begin, end)| begin..end).collect();
        Self { segments, again: vec![None; graph.nodes.len()] }
    }

    /// What is to be read in place of `tensor`.
    pub(super) fn of(&self, tensor: Tensor) -> Tensor {
        self.again.get(tensor.0).copied().flatten().unwrap_or(tensor)
    }

    /// The backward pass reaches `tensor`: its segment's nodes are appended to `graph` again,
    /// unless they have been.
    pub(super) fn reach(&mut self, graph: &mut Graph, tensor: Tensor) {
        while let Some(segment) = self.segments.pop_if(|segment| tensor.0 < segment.end) {
            if segment.contains(&tensor.0) {
                self.append(graph, segment);
            }
        }
    }

    fn append(&mut self, graph: &mut Graph, segment: Range<usize>) {
        let mut read_later = vec![false; segment.end];
        let later = graph.nodes[segment.end..].iter().flat_map(|node| &node.inputs);
        later.filter(|input| input.0 < segment.end).for_each(|input| read_later[input.0] = true);
        for i in segment.filter(|&i| !read_later[i]) {
            let node = graph.nodes[i].clone();
            let Some(op) = node.op.recomputed() else { continue };
            let inputs = node.inputs.iter().map(|&input| self.of(input)).collect();
            let name = format!("recomputed/{}", node.name);
            self.again[i] = Some(graph.push(op, inputs, node.shape, &name));
        }
    }
}
