//! Embeddings of tokens.
use super::autodiff::Backward;
use super::lower::Lowering;
use super::op::{Facts, Home, Operation};
use super::stored::Masked;
use super::{Graph, Shape, Tensor};
use crate::kernels;
use crate::{Error, Result};

/// Inputs `tokens`, `table`: rows of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Embedding;

/// Inputs `tokens`, `gradient`: gradient of the table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EmbeddingGradient;

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
        kernels::TableGradient { tokens, gradient, out, positions, rows, columns }
            .push(lowering.plan)
    }
}
