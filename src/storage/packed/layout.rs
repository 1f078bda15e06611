//! Which tensors of a file are the parts of one that is packed.
use super::groups::{PATTERN, PLACES};
use super::int8::SCALES;
use super::{bitmask, bits, columns, gaps, sparse};
use crate::storage::{Dtype, Header, TensorInfo};

/// Axes of a packed tensor at most.
const MOST_AXES: usize = 8;

/// What the names of the parts of a layout end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// The one that it is known by.
    pub(super) key: &'static str,
    /// Others that must be there; the values first.
    pub(super) needed: &'static [&'static str],
    /// Others that may be there, besides scales.
    pub(super) further: &'static [&'static str],
    /// What the name of the tensor has behind that of the parts.
    pub(super) ending: &'static str,
}

const fn layout(key: &'static str, needed: &'static [&'static str]) -> Layout {
    Layout { key, needed, further: &[], ending: "" }
}

/// Codes and scales alone: every element is there.
pub(super) const PLAIN: Layout = layout(SCALES, &[sparse::VALUES]);
pub(super) const SPARSE: Layout =
    layout(sparse::CROW, &[sparse::VALUES, sparse::COLUMNS, sparse::SHAPE]);
pub(super) const BITMASK: Layout = Layout {
    further: &[bitmask::OFFSETS],
    ending: ".weight",
    ..layout(bitmask::BITS, &[bitmask::KEPT, bitmask::SHAPE])
};
pub(super) const BITS: Layout = layout(bits::BITS, &[sparse::VALUES, sparse::SHAPE]);
pub(super) const GAPS4: Layout = layout(gaps::FOUR, &[sparse::VALUES, sparse::SHAPE]);
pub(super) const GAPS8: Layout = layout(gaps::EIGHT, &[sparse::VALUES, sparse::SHAPE]);
pub(super) const COLUMNS: Layout =
    layout(columns::COLUMNS, &[sparse::VALUES, columns::COUNTS, sparse::SHAPE]);
pub(super) const GROUPS: Layout = layout(PLACES, &[sparse::VALUES, PATTERN, sparse::SHAPE]);
/// Scales belong to any of them: those that have them alone come last.
pub(super) const ALL: [Layout; 8] = [SPARSE, BITMASK, BITS, GAPS4, GAPS8, COLUMNS, GROUPS, PLAIN];

/// Parts of one tensor, each with its place among the tensors of the file.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) file: &'a Header,
    pub(super) all: Vec<(&'static str, usize)>,
}

impl Parts<'_> {
    pub(super) fn get(&self, name: &str) -> Option<&TensorInfo> {
        let part = self.all.iter().find(|(part, _)| *part == name);
        part.map(|&(_, place)| &self.file.tensors[place])
    }

    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> u64 {
        self.all.iter().map(|&(_, place)| self.file.tensors[place].bytes).sum()
    }

    /// That the part `name`, if it is there, has one of these types.
    pub(super) fn is(&self, name: &str, dtypes: &[Dtype]) -> Result<(), String> {
        match self.get(name) {
            Some(found) if !dtypes.contains(&found.dtype) => {
                let wanted: Vec<String> = dtypes.iter().map(ToString::to_string).collect();
                Err(format!("{name} is {}, not {}", found.dtype, wanted.join(" or ")))
            }
            _ => Ok(()),
        }
    }

    /// The numbers that the part `name` holds, of which there are few.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<i64>, String> {
        self.is(name, &[Dtype::I64])?;
        let part = self.get(name).filter(|part| part.bytes <= MOST_AXES as u64 * 8);
        let part = part.ok_or_else(|| format!("{name} has more than {MOST_AXES} numbers"))?;
        let mut bytes = vec![0; part.bytes as usize];
        self.file.read(part.offset, &mut bytes).map_err(|e| e.to_string())?;
        Ok(bytes.as_chunks().0.iter().map(|&number| i64::from_le_bytes(number)).collect())
    }

    /// The extents of the dense tensor, which are those of the part `shape`.
    pub(super) fn extents(&self, layout: Layout) -> Result<Vec<usize>, String> {
        let numbers = self.numbers(sparse::SHAPE)?;
        let matrices = [SPARSE, BITMASK, GROUPS].contains(&layout);
        if numbers.len() < 2 || (matrices && numbers.len() != 2) {
            let (have, of) = (numbers.len(), if matrices { "2" } else { "2 and more" });
            return Err(format!("shape has {have} numbers; what is packed has {of}"));
        }
        let extent = |&number: &i64| {
            let positive = usize::try_from(number).ok().filter(|&n| n > 0);
            positive.ok_or_else(|| format!("shape has the extent {number}"))
        };
        numbers.iter().map(extent).collect()
    }
}
