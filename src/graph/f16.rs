//! Copies in f16, for the products of mixed precision.
//!
//! A tensor is copied once a phase, however many products read it: weights by the forward pass and
//! by the gradient of the inputs, inputs by the forward pass and by the gradient of the weights,
//! gradients by both products that read them. Convolutions want the channels of each tap of a weight
//! padded by themselves; where these are no whole sixteens, that is another copy.
use std::sync::Arc;

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
    copies: Vec<Copied>,
    /// Copies of what is no tensor, or a part of one.
    pieces: Vec<(Piece, F16Operand)>,
    peaks: Option<Slot>,
    /// Where those of tensors are among the peaks.
    of_tensors: Vec<Option<u32>>,
    /// Where 1 is.
    one: Option<u32>,
    /// Peaks that are taken.
    taken: u32,
}

/// A matrix in a slot, which may be a part of a larger one. No launch of the phase writes there
/// after its copy is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) values: Slot,
    pub(super) mask: Option<Slot>,
    /// Rows and columns.
    pub(super) extents: [u32; 2],
    /// Where the first row begins.
    pub(super) begin: u32,
    /// Elements from one row to the next.
    pub(super) stride: u32,
    /// Rows of a block, as [`F16Copy::block`] has it.
    pub(super) block: u32,
}

/// Whose largest magnitude says the power of two of a [`Piece`].
#[derive(Debug, Clone, Copy)]
pub(super) enum PeakOf {
    /// That of a tensor which has all values of the piece.
    Tensor(Tensor),
    /// Its own: a piece whose rows are neighbours.
    Itself,
    /// That of what has none beyond 1: nothing is looked for. 4 and more would be infinite.
    One,
}

/// A tensor in blocks of so many rows.
struct Copied {
    tensor: Tensor,
    block: u32,
    operand: F16Operand,
}

impl F16Copies {
    pub(super) fn new(graph: &Graph) -> Self {
        let (copies, of_tensors) = (Vec::new(), vec![None; graph.nodes.len()]);
        Self { copies, pieces: Vec::new(), peaks: None, of_tensors, one: None, taken: 0 }
    }

    /// A peak that nobody has taken.
    fn take(&mut self) -> Result<(Slot, u32)> {
        let (peaks, at) = (self.peaks()?, self.taken);
        if at == peaks.words {
            let message = format!("this phase has {at} peaks and needs more: see `begin_f16`");
            return Err(Error::shape("f16_copy", message));
        }
        self.taken += 1;
        Ok((peaks, at))
    }

    pub(super) fn peaks(&self) -> Result<Slot> {
        self.peaks.ok_or_else(|| {
            Error::shape("f16_copy", "no product of this phase was to read f16".to_owned())
        })
    }
}

impl Lowering<'_> {
    /// Begins a phase: a peak for each tensor that a product in `live` will read in f16, and for
    /// each matrix that is no tensor.
    pub(super) fn begin_f16(&mut self, live: &[bool]) -> Result<()> {
        let mut read = vec![false; live.len()];
        for at in (0..live.len()).filter(|&at| live[at]) {
            for tensor in self.read_in_f16(Tensor(at))? {
                read[tensor.0] = true;
            }
        }
        let pieces = self.recurrent_peaks(live, &mut read);
        let count = pieces + read.iter().filter(|read| **read).count() as u32;
        if count > 0 {
            let peaks = self.plan.scratch("peaks", count);
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
        let (Masked { values, mask }, extents) = (self.read(tensor)?, [rows, columns]);
        let piece = Piece { values, mask, extents, begin: 0, stride: columns, block };
        let name = self.graph.nodes[tensor.0].name.clone();
        let operand = self.f16_piece(piece, &name, PeakOf::Tensor(tensor))?;
        self.f16.copies.push(Copied { tensor, block, operand });
        Ok(operand)
    }

    /// The copy of a matrix that is no tensor, or a part of one, made when it is first asked for.
    pub(super) fn f16_copy_of(
        &mut self,
        piece: Piece,
        name: &str,
        peak: PeakOf,
    ) -> Result<F16Operand> {
        if let Some(&(_, copy)) = self.f16.pieces.iter().find(|(known, _)| *known == piece) {
            return Ok(copy);
        }
        let copied = self.f16_piece(piece, name, peak)?;
        self.f16.pieces.push((piece, copied));
        Ok(copied)
    }

    fn f16_piece(&mut self, piece: Piece, name: &str, peak: PeakOf) -> Result<F16Operand> {
        let Piece { values, mask, extents: [rows, columns], begin, stride, block } = piece;
        let words = F16Copy::words_in_blocks([rows, columns], block).ok_or_else(|| {
            let message = format!("{name} of {rows} x {columns} has 2^32 elements or more");
            Error::shape("f16_copy", message)
        })?;
        let at = match peak {
            PeakOf::Tensor(tensor) => self.f16_peak(tensor)?,
            PeakOf::Itself => {
                let (peak, at) = self.f16.take()?;
                let found = MagnitudePeak::new([values, peak], at, rows * columns);
                self.plan.push(MagnitudePeak { begin, ..found })?;
                at
            }
            PeakOf::One => self.f16_one()?,
        };
        let copy = self.plan.scratch(format!("f16/{name}"), words);
        let made = F16Copy::new([values, self.f16.peaks()?, copy], at, [rows, columns]);
        self.plan.push(F16Copy { mask, block, begin, stride, ..made })?;
        Ok(F16Operand { copy, at })
    }

    /// Where the peak of `tensor` is, which is found when it is first asked for.
    fn f16_peak(&mut self, tensor: Tensor) -> Result<u32> {
        if let Some(at) = self.f16.of_tensors[tensor.0] {
            return Ok(at);
        }
        let (values, len) = (self.slot(tensor)?, self.elements(tensor)?);
        let (peak, at) = self.f16.take()?;
        self.plan.push(MagnitudePeak::new([values, peak], at, len))?;
        self.f16.of_tensors[tensor.0] = Some(at);
        Ok(at)
    }

    /// Where a peak of 1 is.
    fn f16_one(&mut self) -> Result<u32> {
        if let Some(at) = self.f16.one {
            return Ok(at);
        }
        let one = self.plan.constant("one", &Arc::from([1.0]));
        let (peak, at) = self.f16.take()?;
        self.plan.push(MagnitudePeak::new([one, peak], at, 1))?;
        self.f16.one = Some(at);
        Ok(at)
    }
}
