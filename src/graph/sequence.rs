//! Sequences: embeddings and attention.
use super::autodiff::Backward;
use super::lower::Lowering;
use super::op::{Facts, Home, Operation};
use super::stored::Masked;
use super::{Graph, Shape, Tensor};
use crate::kernels::{self, AttentionKeyGradient, AttentionQueryGradient, Heads};
use crate::{Error, Result};

/// Inputs `tokens`, `table`: rows of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Embedding;

/// Inputs `tokens`, `gradient`: gradient of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EmbeddingGradient;

/// Input `x`: attention among its positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attention {
    /// Extents.
    pub shape: Heads,
}

/// Inputs `x`, `gradient`: gradient of that by `x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionGradient {
    /// Extents.
    pub shape: Heads,
}

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
        Ok(self.push(Embedding, vec![tokens, table], shape, &name))
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
        Ok(self.push(Attention { shape }, vec![x], out, &name))
    }
}

impl Operation for Embedding {
    fn facts(&self) -> Facts {
        Facts { name: "embedding", home: Home::Own, recomputed: Some((*self).into()) }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let [tokens, table] = lowering.inputs(tensor)?;
        let ([rows, columns], positions) = (lowering.matrix(table)?, lowering.elements(tokens)?);
        let (tokens, Masked { values: table, mask }) =
            (lowering.slot(tokens)?, lowering.read(table)?);
        let out = lowering.output(tensor)?;
        lowering.plan.push(kernels::Embedding {
            tokens,
            table,
            mask,
            out,
            positions,
            rows,
            columns,
        })
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        let [tokens, table] = backward.inputs(tensor)?;
        backward.send(table, EmbeddingGradient, vec![tokens, gradient]);
        Ok(())
    }
}

impl Operation for EmbeddingGradient {
    fn facts(&self) -> Facts {
        Facts { name: "embedding_gradient", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let [tokens, gradient] = lowering.inputs(tensor)?;
        let ([rows, columns], positions) = (lowering.matrix(tensor)?, lowering.elements(tokens)?);
        let (tokens, gradient) = (lowering.slot(tokens)?, lowering.slot(gradient)?);
        let out = lowering.output(tensor)?;
        kernels::EmbeddingGradient { tokens, gradient, out, positions, rows, columns }
            .push(lowering.plan)
    }
}

impl Operation for Attention {
    fn facts(&self) -> Facts {
        Facts { name: "attention", home: Home::Own, recomputed: Some((*self).into()) }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let &Self { shape } = self;
        let [x] = lowering.input_slots(tensor)?;
        let out = lowering.output(tensor)?;
        lowering.plan.push(kernels::Attention { shape, x, out })
    }

    fn gradient(
        &self,
        backward: &mut Backward<'_>,
        tensor: Tensor,
        gradient: Tensor,
    ) -> Result<()> {
        let (&Self { shape }, [x]) = (self, backward.inputs(tensor)?);
        backward.send(x, AttentionGradient { shape }, vec![x, gradient]);
        Ok(())
    }
}

impl Operation for AttentionGradient {
    fn facts(&self) -> Facts {
        Facts { name: "attention_gradient", home: Home::Own, recomputed: None }
    }

    fn lower(&self, lowering: &mut Lowering<'_>, tensor: Tensor) -> Result<()> {
        let (&Self { shape }, [x, gradient]) = (self, lowering.input_slots(tensor)?);
        let out = lowering.output(tensor)?;
        let name = &lowering.graph.nodes[tensor.0].name;
        let rows = lowering.plan.scratch(format!("{name}.rows"), shape.rows());
        lowering.plan.push(AttentionQueryGradient { shape, x, gradient, rows, out })?;
        lowering.plan.push(AttentionKeyGradient { shape, x, gradient, rows, out })
    }
}
