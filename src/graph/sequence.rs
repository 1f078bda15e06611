//! Sequences: embeddings and attention.
use super::autodiff::Backward;
use super::lower::Lowering;
use super::stored::Masked;
use super::{Graph, Op, Shape, Tensor};
use crate::kernels::{
    Attention, AttentionKeyGradient, AttentionQueryGradient, Embedding, EmbeddingGradient, Heads,
};
use crate::{Error, Result};

impl Graph {
    /// Rows of `table [rows, columns]` by `tokens [...]`, whole numbers as f32 below `rows`: `[...,
    /// columns]`. A mask of the table counts.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `table` has rank 2.
    pub fn embedding(&mut self, tokens: Tensor, table: Tensor) -> Result<Tensor> {
        let (positions, rows) = (self.shape(tokens).clone(), self.shape(table).clone());
        let &[_, columns] = rows.dims() else {
            return Err(Error::shape("embedding", format!("table {rows} needs rank 2")));
        };
        let shape = Shape::new([positions.dims(), &[columns]].concat());
        let name = self.layer_of(table);
        Ok(self.push(Op::Embedding, vec![tokens, table], shape, &name))
    }

    /// Scaled dot-product attention (Vaswani et al. 2017) of `x [batch, length, 3 * channels]`,
    /// queries, keys and values side by side, each with `heads` heads: `[batch, length, channels]`.
    /// Where `causal` a position sees only itself and those before it.
    ///
    /// # Errors
    /// [`Error::Shape`] when the last axis is no multiple of `3 * heads`.
    pub fn attention(&mut self, x: Tensor, heads: u32, causal: bool) -> Result<Tensor> {
        let xs = self.shape(x).clone();
        let parts = heads.saturating_mul(3);
        let &[batch, length, channels] = xs.dims() else {
            let message = format!("x {xs} has rank {}, not 3", xs.rank());
            return Err(Error::shape("attention", message));
        };
        if parts == 0 || channels == 0 || channels % parts > 0 {
            let message =
                format!("x {xs}: {channels} channels are no multiple of 3 * {heads} heads");
            return Err(Error::shape("attention", message));
        }
        let shape = Heads { batch, heads, length, width: channels / parts, causal };
        let name = format!("{}.attention", self.nodes[x.0].name);
        let out = Shape::new([batch, length, channels / 3]);
        Ok(self.push(Op::Attention { shape }, vec![x], out, &name))
    }
}

impl Backward<'_> {
    pub(super) fn sequence(&mut self, tensor: Tensor, gradient: Tensor) {
        let node = &self.graph.nodes[tensor.0];
        match (node.op, node.inputs.as_slice()) {
            (Op::Embedding, &[tokens, table]) => {
                self.send(table, Op::EmbeddingGradient, vec![tokens, gradient]);
            }
            (Op::Attention { shape }, &[x]) => {
                self.send(x, Op::AttentionGradient { shape }, vec![x, gradient]);
            }
            _ => {}
        }
    }
}

impl Lowering<'_> {
    pub(super) fn sequence(&mut self, tensor: Tensor) -> Result<()> {
        let node = &self.graph.nodes[tensor.0];
        let inputs = self.slots_of(&node.inputs)?;
        let out = self.output(tensor)?;
        match (node.op, inputs.as_slice()) {
            (Op::Embedding, &[tokens, _]) => {
                let [rows, columns] = self.matrix(node.inputs[1])?;
                let positions = self.elements(node.inputs[0])?;
                let Masked { values: table, mask } = self.read(node.inputs[1])?;
                self.plan.push(Embedding { tokens, table, mask, out, positions, rows, columns })
            }
            (Op::EmbeddingGradient, &[tokens, gradient]) => {
                let [rows, columns] = self.matrix(tensor)?;
                let positions = self.elements(node.inputs[0])?;
                EmbeddingGradient { tokens, gradient, out, positions, rows, columns }
                    .push(self.plan)
            }
            (Op::Attention { shape }, &[x]) => self.plan.push(Attention { shape, x, out }),
            (Op::AttentionGradient { shape }, &[x, gradient]) => {
                let rows = self.plan.scratch(format!("{}.rows", node.name), shape.rows());
                self.plan.push(AttentionQueryGradient { shape, x, gradient, rows, out })?;
                self.plan.push(AttentionKeyGradient { shape, x, gradient, rows, out })
            }
            _ => Err(self.lacks(tensor)),
        }
    }
}
