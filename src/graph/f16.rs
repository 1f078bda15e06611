//! Copies in f16, for the products of mixed precision.
//!
//! A tensor is copied once a phase, however many products read it: weights by the forward pass and
//! by the gradient of the inputs, inputs by the forward pass and by the gradient of the weights,
//! gradients by both products that read them.
use std::sync::Arc;

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

impl F16Copies {
    pub(super) fn new(graph: &Graph) -> Self {
        let nodes = graph.nodes.len();
        let (copies, of_tensors) = (vec![None; nodes], vec![None; nodes]);
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
        for (at, node) in self.graph.nodes.iter().enumerate().filter(|(at, _)| live[*at]) {
            let (Op::Matmul(Matmul { form, .. }), &[a, b, ..]) = (node.op, node.inputs.as_slice())
            else {
                continue;
            };
            if self.reads_f16(self.extents(Tensor(at), a, form)?) {
                [a, b].into_iter().for_each(|tensor| read[tensor.0] = true);
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
        let (Masked { values, mask }, extents @ [_, stride]) =
            (self.read(tensor)?, self.matrix(tensor)?);
        let piece = Piece { values, mask, extents, begin: 0, stride };
        let name = self.graph.nodes[tensor.0].name.clone();
        let copied = self.f16_piece(piece, &name, PeakOf::Tensor(tensor))?;
        self.f16.copies[tensor.0] = Some(copied);
        Ok(copied)
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
        let Piece { values, mask, extents: [rows, columns], begin, stride } = piece;
        let words = F16Copy::words(rows, columns).ok_or_else(|| {
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
        self.plan.push(F16Copy { mask, begin, stride, ..made })?;
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
