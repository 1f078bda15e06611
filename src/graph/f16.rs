//! Copies in f16, for the products of mixed precision.
//!
//! A tensor is copied once a phase, however many products read it: weights by the forward pass and
//! by the gradient of the inputs, inputs by the forward pass and by the gradient of the weights,
//! gradients by both products that read them.
use super::lower::Lowering;
use super::ops::Matmul;
use super::stored::Masked;
use super::{Graph, Op, Tensor};
use crate::gpu::{Precision, Slot};
use crate::kernels::{F16Begin, F16Copy, F16Operand, MagnitudePeak};
use crate::{Error, Result};

/// Products with fewer rows, columns or terms stay in 32 bits: copies would cost more than they
/// save.
const LEAST: u32 = 16;

/// The copies of a phase.
pub(super) struct F16Copies {
    copies: Vec<Option<F16Operand>>,
    peaks: Option<Slot>,
    copied: u32,
}

impl F16Copies {
    pub(super) fn new(graph: &Graph) -> Self {
        Self { copies: vec![None; graph.nodes.len()], peaks: None, copied: 0 }
    }

    pub(super) fn peaks(&self) -> Result<Slot> {
        self.peaks.ok_or_else(|| {
            Error::shape("f16_copy", "no product of this phase was to read f16".to_owned())
        })
    }
}

impl Lowering<'_> {
    /// Begins a phase: a peak for each tensor that a product in `live` will read in f16.
    pub(super) fn begin_f16(&mut self, live: &[bool]) -> Result<()> {
        let mut read = vec![false; live.len()];
        for (at, node) in self.graph.nodes.iter().enumerate().filter(|(at, _)| live[*at]) {
            let (Op::Matmul(Matmul { form, .. }), &[a, b, ..]) = (node.op, node.inputs.as_slice())
            else {
                continue;
            };
            if self.reads_f16(self.extents(Tensor(at), a, form)?) {
                [a, b].into_iter().for_each(|tensor| read[tensor.0] = true);
            }
        }
        let count = read.iter().filter(|read| **read).count();
        if count > 0 {
            let peaks = self.plan.scratch("peaks", count as u32);
            self.f16.peaks = Some(peaks);
            self.plan.push(F16Begin { peaks })?;
        }
        Ok(())
    }

    /// Whether a product of so many rows, columns and terms does.
    pub(super) fn reads_f16(&self, extents: [u32; 3]) -> bool {
        let mixed = self.plan.target().precision == Precision::Mixed;
        mixed && extents.into_iter().all(|extent| extent >= LEAST)
    }

    /// The copy of `tensor`, made when it is first asked for.
    pub(super) fn f16_copy(&mut self, tensor: Tensor) -> Result<F16Operand> {
        if let Some(copy) = self.f16.copies[tensor.0] {
            return Ok(copy);
        }
        let (Masked { values: x, mask }, [rows, columns]) =
            (self.read(tensor)?, self.matrix(tensor)?);
        let (peaks, at) = (self.f16.peaks()?, self.f16.copied);
        let name = &self.graph.nodes[tensor.0].name;
        let words = F16Copy::words(rows, columns).ok_or_else(|| {
            let message = format!("{name} of {rows} x {columns} has 2^32 elements or more");
            Error::shape("f16_copy", message)
        })?;
        let copy = self.plan.scratch(format!("f16/{name}"), words);
        self.plan.push(MagnitudePeak { values: x, peak: peaks, at, len: rows * columns })?;
        self.plan.push(F16Copy { x, mask, peaks, at, out: copy, rows, columns })?;
        self.f16.copied += 1;
        let copied = F16Operand { copy, at };
        self.f16.copies[tensor.0] = Some(copied);
        Ok(copied)
    }
}
