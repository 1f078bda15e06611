//! Copies in f16, for the products of mixed precision.
//!
//! A tensor is copied once a phase, however many products read it: weights by the forward pass and
//! by the gradient of the inputs, inputs by the forward pass and by the gradient of the weights,
//! gradients by both products that read them. Convolutions want the channels of each tap of a weight
//! padded by themselves; where these are no whole sixteens, that is another copy.
use super::lower::Lowering;
use super::ops::{Conv2d, Matmul};
use super::stored::Masked;
use super::{Graph, Op, Tensor};
use crate::gpu::{Precision, Slot};
use crate::kernels::{Convolution, F16Begin, F16Copy, F16Operand, Form, MagnitudePeak};
use crate::{Error, Result};

/// Products with fewer rows, columns or terms stay in 32 bits: copies would cost more than they
/// save.
const LEAST: u32 = 16;

/// The copies of a phase.
pub(super) struct F16Copies {
    /// Where a tensor's peak is among the peaks.
    places: Vec<Option<u32>>,
    copies: Vec<Copied>,
    peaks: Option<Slot>,
    copied: u32,
}

/// A tensor in blocks of so many rows.
struct Copied {
    tensor: Tensor,
    block: u32,
    operand: F16Operand,
}

impl F16Copies {
    pub(super) fn new(graph: &Graph) -> Self {
        let places = vec![None; graph.nodes.len()];
        Self { places, copies: Vec::new(), peaks: None, copied: 0 }
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
        for at in (0..live.len()).filter(|&at| live[at]) {
            for tensor in self.read_in_f16(Tensor(at))? {
                read[tensor.0] = true;
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

    /// Which of its inputs the node `tensor` reads in f16.
    fn read_in_f16(&self, tensor: Tensor) -> Result<Vec<Tensor>> {
        let node = &self.graph.nodes[tensor.0];
        let &[a, b, ..] = node.inputs.as_slice() else { return Ok(Vec::new()) };
        let reads = match node.op {
            Op::Matmul(Matmul { form, .. }) => self.reads_f16(self.extents(tensor, a, form)?),
            Op::Conv2d(Conv2d { shape, .. }) => !self.is_packed(b) && self.convolves_f16(&shape),
            _ => false,
        };
        Ok(if reads { vec![a, b] } else { Vec::new() })
    }

    /// Whether a product of so many rows, columns and terms does.
    pub(super) fn reads_f16(&self, extents: [u32; 3]) -> bool {
        let mixed = self.plan.target().precision == Precision::Mixed;
        mixed && extents.into_iter().all(|extent| extent >= LEAST)
    }

    /// Whether the products of a convolution do: each of its channels and outputs is among the terms
    /// or columns of one of them.
    pub(super) fn convolves_f16(&self, shape: &Convolution) -> bool {
        let &Convolution { channels, outputs, groups, .. } = shape;
        groups == 1 && self.reads_f16([channels, outputs, LEAST])
    }

    /// The copy of the matrix that `tensor` is, made when it is first asked for.
    pub(super) fn f16_copy(&mut self, tensor: Tensor) -> Result<F16Operand> {
        let [rows, _] = self.matrix(tensor)?;
        self.f16_copy_in_blocks(tensor, rows)
    }

    /// The copies that a product of a convolution reads: of images and results as matrices, of a
    /// weight tap by tap.
    pub(super) fn f16_copies_of(
        &mut self,
        [a, b]: [Tensor; 2],
        form: Form,
        shape: &Convolution,
    ) -> Result<[F16Operand; 2]> {
        let first = self.f16_copy(a)?;
        let second = match form {
            Form::NN | Form::NT => self.f16_copy_in_blocks(b, shape.channels)?,
            Form::TN => self.f16_copy(b)?,
        };
        Ok([first, second])
    }

    fn f16_copy_in_blocks(&mut self, tensor: Tensor, block: u32) -> Result<F16Operand> {
        let [rows, columns] = self.matrix(tensor)?;
        // Whole blocks lie as a matrix does.
        let block = if F16Copy::is_whole(block) { rows } else { block };
        let same = |copied: &&Copied| copied.tensor == tensor && copied.block == block;
        if let Some(copied) = self.f16.copies.iter().find(same) {
            return Ok(copied.operand);
        }
        let (Masked { values: x, mask }, peaks) = (self.read(tensor)?, self.f16.peaks()?);
        let name = &self.graph.nodes[tensor.0].name;
        let words = F16Copy::words_in_blocks([rows, columns], block).ok_or_else(|| {
            let message = format!("{name} of {rows} x {columns} has 2^32 elements or more");
            Error::shape("f16_copy", message)
        })?;
        let copy = self.plan.scratch(format!("f16/{name}"), words);
        let at = match self.f16.places[tensor.0] {
            Some(at) => at,
            None => {
                let at = self.f16.copied;
                self.plan.push(MagnitudePeak {
                    values: x,
                    peak: peaks,
                    at,
                    len: rows * columns,
                })?;
                self.f16.places[tensor.0] = Some(at);
                self.f16.copied += 1;
                at
            }
        };
        self.plan.push(F16Copy { x, mask, peaks, at, out: copy, rows, columns, block })?;
        let operand = F16Operand { copy, at };
        self.f16.copies.push(Copied { tensor, block, operand });
        Ok(operand)
    }
}
