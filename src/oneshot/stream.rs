//! Tensors on their way through the ranker: read in pieces, written in pieces.
use std::collections::HashMap;

use super::Place;
use super::files::Files;
use super::ranker::{Masked, Ranker};
use super::units::{Cut, Units};
use crate::kernels::bit;
use crate::storage::widen;
use crate::{Error, Result};

/// Elements that are held at once, but for a row of blocks of more.
pub(super) const PIECE: u64 = 1 << 18;

/// The files, and how far the work on them is. What is written is read a second time, so that
/// nothing here grows with a tensor.
pub(super) struct Stream<'a> {
    pub(super) files: Files,
    /// How each tensor that is pruned is cut.
    pub(super) cuts: HashMap<Place, Cut>,
    pub(super) done: u64,
    pub(super) total: u64,
    pub(super) progress: &'a mut dyn FnMut(u64, u64),
}

impl Stream<'_> {
    /// What is ranked of a tensor.
    pub(super) fn units(&self, at: Place) -> Units {
        Units::new(self.files.tensor(at), self.cuts.get(&at).copied().unwrap_or(Cut::Elements))
    }

    /// Puts the scores of the units `range` of a tensor into the ranker's chunk from place `first`
    /// on; how many they are.
    pub(super) fn load(
        &mut self,
        ranker: &mut Ranker,
        at: Place,
        range: (u64, u64),
        first: usize,
    ) -> Result<usize> {
        let (units, info) = (self.units(at), self.files.tensor(at));
        let (dtype, size) = (info.dtype.clone(), info.element_bytes());
        let (mut bytes, mut values, mut scores) = (Vec::new(), Vec::new(), Vec::new());
        for piece in units.chunks(range, u64::MAX, PIECE) {
            let elements = self.read(at, units.elements(piece), &mut bytes)?;
            scores.resize((piece.1 - piece.0) as usize, 0.0);
            if units.are_elements() {
                widen(&dtype, &bytes, &mut scores);
            } else if !units.are_blocks() {
                values.resize(elements, 0.0);
                widen(&dtype, &bytes, &mut values);
                units.grouped(&values, &mut scores);
            } else {
                units.scores(elements, &mut scores, |row, values| {
                    let length = values.len() * size;
                    widen(&dtype, &bytes[row * length..][..length], values);
                });
            }
            ranker.put(first + (piece.0 - range.0) as usize, &scores);
        }
        Ok((range.1 - range.0) as usize)
    }

    /// The mask of the vectors `range` of a tensor, of which `n` of each group stay.
    pub(super) fn rank_vectors(&mut self, at: Place, range: (u64, u64), n: u32) -> Result<Masked> {
        let (units, mut bytes) = (self.units(at), Vec::new());
        let elements = self.read(at, units.elements(range), &mut bytes)?;
        let mut values = vec![0.0; elements];
        widen(&self.files.tensor(at).dtype, &bytes, &mut values);
        Ok(units.ranked(&values, n))
    }

    /// Writes the units `range` of a tensor without what their mask clears; how many elements are
    /// not zero.
    ///
    /// # Errors
    /// [`Error::File`] names a tensor that holds NaN.
    pub(super) fn write(&mut self, at: Place, range: (u64, u64), masked: &Masked) -> Result<u64> {
        let (units, info) = (self.units(at), self.files.tensor(at));
        let (dtype, size) = (info.dtype.clone(), info.element_bytes());
        if masked.nan > 0 {
            let message = "holds NaN, which has no rank; mend it, or leave it out with --exclude";
            return Err(Error::file(self.files.path(at.0), format!("{} {message}", info.name)));
        }
        let (mut bytes, mut left) = (Vec::new(), 0);
        for piece in units.chunks(range, u64::MAX, PIECE) {
            self.read(at, units.elements(piece), &mut bytes)?;
            let first = (piece.0 - range.0) as usize;
            for (i, element) in bytes.chunks_exact_mut(size).enumerate() {
                if !bit(&masked.bits, first + units.of(i)) {
                    element.fill(0);
                }
            }
            left += dtype.nonzero(&bytes).unwrap_or_default();
            self.files.write(&bytes)?;
            self.advance_by(at, piece);
        }
        Ok(left)
    }

    /// Copies a tensor of whatever type; how many of its elements are not zero, where that can be
    /// told.
    pub(super) fn copy(&mut self, at: Place) -> Result<Option<u64>> {
        let info = self.files.tensor(at).clone();
        let (mut left, mut bytes) = (Some(0), Vec::new());
        for from in (0..info.bytes).step_by(PIECE as usize) {
            // A piece is whole elements: their bytes divide it.
            let end = info.bytes.min(from + PIECE);
            bytes.resize((end - from) as usize, 0);
            self.files.read(at.0, info.offset + from, &mut bytes)?;
            left = left.zip(info.dtype.nonzero(&bytes)).map(|(left, more)| left + more);
            self.files.write(&bytes)?;
            self.advance(bytes.len() as u64);
        }
        Ok(left)
    }

    /// Reads elements of a tensor; how many.
    fn read(&mut self, at: Place, (from, end): (u64, u64), bytes: &mut Vec<u8>) -> Result<usize> {
        let info = self.files.tensor(at);
        let (offset, size) = (info.offset, info.element_bytes());
        bytes.resize((end - from) as usize * size, 0);
        self.files.read(at.0, offset + from * size as u64, bytes)?;
        Ok((end - from) as usize)
    }

    /// The units `range` of a tensor are done with, for once.
    pub(super) fn advance_by(&mut self, at: Place, range: (u64, u64)) {
        let (from, end) = self.units(at).elements(range);
        self.advance((end - from) * self.files.tensor(at).element_bytes() as u64);
    }

    fn advance(&mut self, bytes: u64) {
        self.done += bytes;
        (self.progress)(self.done, self.total);
    }
}

/// Whether all values of a tensor are 0 or 1, and some of them 1; read up to the first other one.
pub(super) fn is_mask(files: &mut Files, at: Place) -> Result<bool> {
    let info = files.tensor(at).clone();
    let (size, mut ones) = (info.element_bytes() as u64, 0);
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    // The first piece is short: most tensors end there.
    let (mut from, mut piece) = (0, 1 << 10);
    while from < info.len() {
        let end = info.len().min(from + piece);
        bytes.resize(((end - from) * size) as usize, 0);
        files.read(at.0, info.offset + from * size, &mut bytes)?;
        values.resize((end - from) as usize, 0.0);
        widen(&info.dtype, &bytes, &mut values);
        if values.iter().any(|&v: &f32| v != 0.0 && v != 1.0) {
            return Ok(false);
        }
        ones += values.iter().filter(|&&v| v == 1.0).count();
        (from, piece) = (end, PIECE);
    }
    Ok(ones > 0)
}
