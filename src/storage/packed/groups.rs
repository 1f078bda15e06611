//! As many elements of each group of neighbours along an axis, and the place of each in its group,
//! in as few bits as the group's places need: N:M, for any M up to 32. A group with fewer elements
//! that are not zero also keeps zeros, its first ones.
use super::matrix::Matrix;
use super::packing::{Part, extents, words};
use crate::storage::Dtype;

pub(super) const PLACES: &str = "places";
pub(super) const PATTERN: &str = "pattern";
/// Places of a group at most.
pub(super) const MOST: usize = 32;

/// So many of a group are kept, of so many neighbours along an axis of a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Groups {
    pub(super) kept: usize,
    pub(super) of: usize,
    pub(super) axis: usize,
}

impl Groups {
    /// The extents of what is kept of a matrix of this `shape`.
    pub(super) fn values(self, mut shape: [usize; 2]) -> [usize; 2] {
        shape[self.axis] = shape[self.axis] / self.of * self.kept;
        shape
    }

    /// Bits of a place.
    pub(super) fn bits(self) -> usize {
        (usize::BITS - (self.of - 1).leading_zeros()) as usize
    }

    /// Bytes of the places and the elements that are kept of so many, and of the pattern.
    pub(super) fn bytes(self, elements: usize, size: usize) -> u64 {
        let kept = elements / self.of * self.kept;
        (kept * size + (kept * self.bits()).div_ceil(8) + 24) as u64
    }

    /// The place in the matrix of the element that is at `place` of group `group`: groups are
    /// counted as their first elements lie in it.
    fn at(self, [_, columns]: [usize; 2], group: usize, place: usize) -> usize {
        match self.axis {
            0 => (group / columns * self.of + place) * columns + group % columns,
            _ => group * self.of + place,
        }
    }

    /// The pattern and its bytes in which `matrix` takes fewest, where that are fewer than `limit`.
    pub(super) fn best(matrix: &Matrix<'_>, limit: u64) -> Option<(u64, Self)> {
        // Two extents are beside them.
        let (mut best, mut limit) = (None, limit.saturating_sub(16));
        for axis in [1, 0] {
            for of in 2..=MOST {
                let Some(found) = Self::fewest(matrix, of, axis, limit) else { continue };
                limit = found.bytes(matrix.elements(), matrix.size());
                best = Some((limit + 16, found));
            }
        }
        best
    }

    /// What groups of that size along an axis keep, if that takes fewer bytes than `limit`.
    fn fewest(matrix: &Matrix<'_>, of: usize, axis: usize, limit: u64) -> Option<Self> {
        let shape = [matrix.rows, matrix.columns];
        if !shape[axis].is_multiple_of(of) {
            return None;
        }
        let fits = |groups: &Self| groups.bytes(matrix.elements(), matrix.size()) < limit;
        let mut groups = Self { kept: 1, of, axis };
        for group in 0..matrix.elements() / of {
            let kept = (0..of).filter(|&i| !matrix.is_zero_at(groups.at(shape, group, i))).count();
            groups.kept = groups.kept.max(kept);
            // Most matrices have no such pattern, which few groups show.
            if !fits(&groups) {
                return None;
            }
        }
        fits(&groups).then_some(groups)
    }

    pub(super) fn parts(self, matrix: &Matrix<'_>) -> Vec<Part> {
        let shape = [matrix.rows, matrix.columns];
        let [_, across] = self.values(shape);
        let count = matrix.elements() / self.of * self.kept;
        let bits = self.bits();
        let mut places = vec![0_u8; (count * bits).div_ceil(8)];
        let mut values = vec![0; count * matrix.size()];
        for group in 0..matrix.elements() / self.of {
            let is_zero = |&i: &usize| matrix.is_zero_at(self.at(shape, group, i));
            let mut kept: Vec<usize> = (0..self.of).filter(|i| !is_zero(i)).collect();
            let more = self.kept - kept.len();
            kept.extend((0..self.of).filter(is_zero).take(more));
            kept.sort_unstable();
            for (nth, place) in kept.into_iter().enumerate() {
                let to = match self.axis {
                    0 => (group / across * self.kept + nth) * across + group % across,
                    _ => group * self.kept + nth,
                };
                for bit in (0..bits).filter(|bit| place >> bit & 1 == 1) {
                    places[(to * bits + bit) / 8] |= 1 << ((to * bits + bit) % 8);
                }
                // A zero that is kept has no sign, as one that is left out has none.
                if !is_zero(&place) {
                    let element = matrix.element(self.at(shape, group, place));
                    values[to * matrix.size()..(to + 1) * matrix.size()].copy_from_slice(element);
                }
            }
        }
        let part = |suffix, dtype, bytes: Vec<u8>, shape| Part { suffix, dtype, shape, bytes };
        let pattern = words([self.kept, self.of, self.axis]);
        let of_places = vec![places.len()];
        vec![
            extents(matrix),
            part(PATTERN, Dtype::I64, pattern, vec![3]),
            part(super::sparse::VALUES, matrix.dtype.clone(), values, self.values(shape).to_vec()),
            part(PLACES, Dtype::U8, places, of_places),
        ]
    }

    /// The pattern that the part of three numbers holds, for a matrix of this `shape`.
    pub(super) fn read(pattern: [i64; 3], shape: &[usize]) -> Result<Self, String> {
        let &[rows, columns] = shape else {
            return Err(format!("{PATTERN} is for matrices, not for {shape:?}"));
        };
        let wrong = || format!("{PATTERN} {pattern:?} does not fit {shape:?}");
        let [kept, of, axis] = pattern.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let right = axis < 2 && (2..=MOST).contains(&of) && (1..=of).contains(&kept);
        let divides = right && [rows, columns][axis].is_multiple_of(of);
        if divides { Ok(Self { kept, of, axis }) } else { Err(wrong()) }
    }

    /// The places in the matrix of all elements that are kept; or what is wrong with `places`.
    pub(super) fn places(self, places: &[u8], shape: [usize; 2]) -> Result<Vec<usize>, String> {
        let [down, across] = self.values(shape);
        let (count, bits) = (down * across, self.bits());
        let needed = (count * bits).div_ceil(8);
        if places.len() != needed {
            let have = places.len();
            return Err(format!("{PLACES} has {have} bytes, {count} elements need {needed}"));
        }
        let bit = |at: usize| usize::from(places[at / 8] >> (at % 8) & 1);
        if (count * bits..places.len() * 8).any(|at| bit(at) == 1) {
            return Err(format!("{PLACES} has ones behind the last of {count} elements"));
        }
        let mut all = Vec::with_capacity(count);
        for to in 0..count {
            let place = (0..bits).fold(0, |place, b| place | bit(to * bits + b) << b);
            let (group, nth, step) = match self.axis {
                0 => (to / across / self.kept * across + to % across, to / across, across),
                _ => (to / self.kept, to, 1),
            };
            if place >= self.of {
                return Err(format!("{PLACES} has {place} in a group of {}", self.of));
            }
            let found = self.at(shape, group, place);
            if !nth.is_multiple_of(self.kept) && all[to - step] >= found {
                return Err(format!("{PLACES} are not in order in group {group}"));
            }
            all.push(found);
        }
        Ok(all)
    }
}
