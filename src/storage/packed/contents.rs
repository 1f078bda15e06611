//! The tensors of a file as they were before they were packed.
use std::collections::{HashMap, HashSet};

use super::groups::{Groups, PATTERN, PLACES};
use super::int8::{SCALES, Scales};
use super::layout::{self, ALL, Layout, Parts};
use super::packing::Packing;
use super::{bitmask, bits, columns, gaps, sparse};
use crate::storage::floats::widen;
use crate::storage::{Dtype, Header, TensorInfo};
use crate::{Error, Result};

/// Elements of a dense tensor a byte of its parts at most: a header of a few bytes must not ask for
/// all memory.
const MOST: u64 = 1 << 16;

/// The tensors of a file, packed or not.
#[derive(Debug)]
pub(crate) struct Contents {
    /// In the order of their bytes; of a packed one that of its values.
    pub(crate) tensors: Vec<Content>,
}

/// A tensor of a file.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) name: String,
    /// Type of its elements, once it is dense: F32 of codes with scales.
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// Which of its elements are there; `None` where all are.
    pub(crate) packing: Option<Packing>,
    /// Whether the file has it in parts: packed, or as codes with scales.
    pub(crate) in_parts: bool,
    /// Places among the file's tensors, by what follows the name.
    parts: Vec<(&'static str, usize)>,
}

impl Content {
    /// It as `file` would have it dense; where it lies is said of one that is.
    pub(crate) fn info(&self, file: &Header) -> TensorInfo {
        let (name, dtype, shape) = (self.name.clone(), self.dtype.clone(), self.shape.clone());
        let plain = self.part("").map(|part| &file.tensors[part]);
        let offset = plain.map_or(0, |plain| plain.offset);
        // Of types of less than a byte the file says it.
        let bytes = plain.map_or_else(|| self.dense_bytes(), |plain| plain.bytes);
        TensorInfo { name, dtype, shape, offset, bytes }
    }

    /// Bytes of all elements.
    pub(crate) fn dense_bytes(&self) -> u64 {
        self.elements() * self.dtype.bits().unwrap_or(8) / 8
    }

    fn elements(&self) -> u64 {
        self.shape.iter().map(|&d| d as u64).product()
    }
}

impl Contents {
    /// What is in `file`.
    ///
    /// # Errors
    /// [`Error::File`] names the tensor whose parts are incomplete, or do not fit each other.
    pub(crate) fn of(file: &Header) -> Result<Self> {
        let places: HashMap<&str, usize> =
            file.tensors.iter().enumerate().map(|(i, t)| (t.name.as_str(), i)).collect();
        let (mut packed, mut taken) = (HashMap::new(), HashSet::new());
        for layout in ALL {
            for (i, tensor) in file.tensors.iter().enumerate() {
                let of = tensor.name.strip_suffix(layout.key).and_then(|n| n.strip_suffix('.'));
                let Some(stem) = of.filter(|_| !taken.contains(&i)) else { continue };
                let Some(parts) = parts(file, &places, layout, stem)? else { continue };
                taken.extend(parts.all.iter().map(|&(_, i)| i));
                let content = content(&parts, layout, stem)
                    .map_err(|wrong| Error::file(&file.path, format!("{stem}: {wrong}")))?;
                if places.contains_key(content.name.as_str()) {
                    let message = format!("{} is there both packed and dense", content.name);
                    return Err(Error::file(&file.path, message));
                }
                let name = content.name.clone();
                if packed.insert(content.part(layout.needed[0]).unwrap_or(i), content).is_some() {
                    let message = format!("{name} is there in two packed forms");
                    return Err(Error::file(&file.path, message));
                }
            }
        }
        let mut tensors = Vec::new();
        for (i, tensor) in file.tensors.iter().enumerate() {
            match packed.remove(&i) {
                Some(content) => tensors.push(content),
                None if taken.contains(&i) => {}
                None => tensors.push(Content {
                    name: tensor.name.clone(),
                    dtype: tensor.dtype.clone(),
                    shape: tensor.shape.clone(),
                    packing: None,
                    in_parts: false,
                    parts: vec![("", i)],
                }),
            }
        }
        // A packed tensor that two layouts have.
        let mut names = HashSet::new();
        match tensors.iter().find(|tensor| !names.insert(tensor.name.as_str())) {
            None => Ok(Self { tensors }),
            Some(twice) => {
                let message = format!("{} is there in two packed forms", twice.name);
                Err(Error::file(&file.path, message))
            }
        }
    }
}

/// The parts that `stem` has of a layout; none where a tensor of somebody's own is called so.
fn parts<'a>(
    file: &'a Header,
    places: &HashMap<&str, usize>,
    layout: Layout,
    stem: &str,
) -> Result<Option<Parts<'a>>> {
    let place = |part| places.get(format!("{stem}.{part}").as_str()).map(|&i| (part, i));
    let known = [layout.key].into_iter().chain(layout.needed.iter().copied());
    let further = layout.further.iter().copied();
    let scales = (layout.key != SCALES).then_some(SCALES);
    let own: Vec<_> = known.clone().chain(further).filter_map(place).collect();
    let all = own.iter().copied().chain(scales.and_then(place)).collect();
    let parts = Parts { file, all };
    // Other tools have scales, too, beside what they call otherwise.
    let is_codes = parts.get(sparse::VALUES).is_some_and(|values| values.dtype == Dtype::I8);
    if own.len() == 1 || (layout.key == SCALES && !is_codes) {
        return Ok(None);
    }
    match known.clone().find(|name| parts.get(name).is_none()) {
        None => Ok(Some(parts)),
        Some(missing) => {
            let message = format!("{stem} is packed, but {stem}.{missing} is missing");
            Err(Error::file(&file.path, message))
        }
    }
}

/// What the parts of `stem` are together; or what is wrong with them.
fn content(parts: &Parts<'_>, layout: Layout, stem: &str) -> Result<Content, String> {
    let values = parts.get(layout.needed[0]).ok_or("its values are missing")?;
    let shape = match layout.key {
        SCALES => values.shape.clone(),
        _ => parts.extents(layout)?,
    };
    let packing = match layout.key {
        SCALES => None,
        _ => Some(packing(parts, layout, &shape)?),
    };
    let scaled = parts.get(SCALES).is_some();
    parts.is(SCALES, &[Dtype::F32])?;
    let dtype = match (scaled, &values.dtype) {
        (true, Dtype::I8) => Dtype::F32,
        (true, other) => return Err(format!("its values are {other}, whose scales are for I8")),
        (false, other) => other.clone(),
    };
    if dtype.mask().is_none() {
        return Err(format!("its values are {dtype}, which have no known zero"));
    }
    let bytes = parts.bytes();
    let elements = shape.iter().try_fold(1, |all: u64, &extent| all.checked_mul(extent as u64));
    let most = bytes.saturating_mul(MOST).min(u64::from(u32::MAX) * 64);
    if elements.is_none_or(|elements| elements > most) {
        return Err(format!("its shape {shape:?} is more than {bytes} bytes stand for"));
    }
    let name = format!("{stem}{}", layout.ending);
    Ok(Content { name, dtype, shape, packing, in_parts: true, parts: parts.all.clone() })
}

/// Which packing of a layout the parts of a tensor of `shape` have; or what is wrong with them.
fn packing(parts: &Parts<'_>, layout: Layout, shape: &[usize]) -> Result<Packing, String> {
    let bytes = [Dtype::U8];
    match layout {
        layout::BITMASK => {
            parts.is(bitmask::BITS, &bytes)?;
            parts.is(bitmask::OFFSETS, &[Dtype::I64])?;
            let bits = parts.get(bitmask::BITS).map_or(0, |bits| bits.bytes);
            let needed = shape[0].checked_mul(shape[1].div_ceil(8));
            if needed.map(|needed| needed as u64) != Some(bits) {
                return Err(format!("bitmask has {bits} bytes, which {shape:?} does not fit"));
            }
            let two_four = parts.get(bitmask::OFFSETS).is_none();
            return Ok(if two_four { Packing::TwoFour } else { Packing::Bitmask });
        }
        layout::BITS => parts.is(bits::BITS, &bytes)?,
        layout::GAPS4 | layout::GAPS8 => parts.is(layout.key, &bytes)?,
        layout::COLUMNS => {
            parts.is(columns::COLUMNS, &[Dtype::U16])?;
            parts.is(columns::COUNTS, &[Dtype::U16])?;
        }
        layout::GROUPS => parts.is(PLACES, &bytes)?,
        _ => {
            parts.is(sparse::CROW, &[Dtype::I32, Dtype::I64])?;
            let index = parts.get(sparse::CROW).map_or(Dtype::I32, |crow| crow.dtype.clone());
            parts.is(sparse::COLUMNS, &[index])?;
        }
    }
    let values = parts.get(sparse::VALUES).map_or(&[][..], |values| &values.shape);
    let misfit = || Err(format!("values are {values:?}, which do not fit {shape:?}"));
    Ok(match (layout, values) {
        (layout::SPARSE, &[_]) => Packing::Csr,
        (layout::SPARSE, &[_, rows, columns])
            if rows > 0
                && columns > 0
                && shape[0].is_multiple_of(rows)
                && shape[1].is_multiple_of(columns) =>
        {
            Packing::Blocks { rows, columns }
        }
        (layout::BITS, &[_]) => Packing::Bits,
        (layout::GAPS4, &[_]) => Packing::Gaps { bits: 4 },
        (layout::GAPS8, &[_]) => Packing::Gaps { bits: 8 },
        (layout::COLUMNS, &[_]) => Packing::Columns,
        (layout::GROUPS, _) => {
            let numbers = parts.numbers(PATTERN)?;
            let pattern = <[i64; 3]>::try_from(numbers)
                .map_err(|all| format!("{PATTERN} has {} numbers, not 3", all.len()))?;
            let groups = Groups::read(pattern, shape)?;
            if values != groups.values([shape[0], shape[1]]) {
                return misfit();
            }
            let Groups { kept, of, axis } = groups;
            Packing::Groups { kept, of, axis }
        }
        _ => return misfit(),
    })
}

impl Content {
    fn part(&self, name: &str) -> Option<usize> {
        self.parts.iter().find(|(part, _)| *part == name).map(|&(_, i)| i)
    }

    /// All elements as f32. What the file has so is read where it is to be, without a copy.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn read_floats(&self, file: &Header) -> Result<Vec<f32>> {
        let plain = self.part("").map(|part| &file.tensors[part]);
        let plain = plain.filter(|p| p.dtype == Dtype::F32 && cfg!(target_endian = "little"));
        let bytes = if plain.is_some() { Vec::new() } else { self.read(file)? };
        let mut values = vec![0.0; self.elements() as usize];
        match plain {
            Some(plain) => file.read(plain.offset, bytemuck::cast_slice_mut(&mut values))?,
            None => widen(&self.dtype, &bytes, &mut values),
        }
        Ok(values)
    }

    /// All elements, as bytes of its type.
    ///
    /// # Errors
    /// [`Error::File`] names the tensor whose parts do not fit each other; [`Error::Io`].
    pub(crate) fn read(&self, file: &Header) -> Result<Vec<u8>> {
        let wrong = |message: String| Error::file(&file.path, format!("{}: {message}", self.name));
        let read = |name: &str| -> Result<Vec<u8>> {
            let Some(part) = self.part(name) else { return Ok(Vec::new()) };
            let info = &file.tensors[part];
            let mut bytes = vec![0; info.bytes as usize];
            file.read(info.offset, &mut bytes)?;
            Ok(bytes)
        };
        let of = |name: &str| self.part(name).map(|part| &file.tensors[part]);
        let elements = match self.packing {
            None if self.in_parts => read(sparse::VALUES)?,
            None => return read(""),
            Some(packing) => {
                let kept = of(sparse::VALUES).or_else(|| of(bitmask::KEPT));
                let size = kept.and_then(|kept| kept.dtype.mask()).map_or(1, <[u8]>::len);
                let (mut out, bytes) = (Vec::new(), self.elements() as usize * size);
                let room = out.try_reserve_exact(bytes);
                room.map_err(|_| wrong(format!("{bytes} bytes of memory are not to be had")))?;
                out.resize(bytes, 0);
                let index = of(sparse::CROW).map_or(Dtype::I32, |index| index.dtype.clone());
                self.dense(packing, &read, &index, size, out)?.map_err(wrong)?
            }
        };
        let Some(scales) = of(SCALES) else { return Ok(elements) };
        Scales::read(&read(SCALES)?, &scales.shape, &self.shape)
            .and_then(|scales| scales.values(&elements, &self.shape))
            .map_err(wrong)
    }

    /// The elements of `size` bytes that are kept, and zeros for the others, which `out` has; or
    /// what is wrong with the parts.
    fn dense(
        &self,
        packing: Packing,
        read: &dyn Fn(&str) -> Result<Vec<u8>>,
        index: &Dtype,
        size: usize,
        mut out: Vec<u8>,
    ) -> Result<Result<Vec<u8>, String>> {
        let elements = out.len() / size;
        let columns = self.shape.last().copied().unwrap_or(1);
        let shape = [elements / columns.max(1), columns];
        let values = read(sparse::VALUES)?;
        let count = values.len() / size;
        let places = match packing {
            Packing::Csr | Packing::Blocks { .. } => {
                let block = match packing {
                    Packing::Blocks { rows, columns } => [rows, columns],
                    _ => [1, 1],
                };
                let (begins, columns) = (read(sparse::CROW)?, read(sparse::COLUMNS)?);
                let parts = [&begins[..], &columns, &values];
                return Ok(sparse::dense(parts, index, block, shape, size, out));
            }
            Packing::Bitmask | Packing::TwoFour => {
                let (bits, kept) = (read(bitmask::BITS)?, read(bitmask::KEPT)?);
                let offsets = read(bitmask::OFFSETS)?;
                let offsets = (packing == Packing::Bitmask).then_some(&offsets[..]);
                return Ok(bitmask::dense([&bits, &kept], offsets, shape, size, out));
            }
            Packing::Bits => bits::places(&read(bits::BITS)?, elements, count),
            Packing::Gaps { bits } => {
                gaps::places(&read(gaps::suffix(bits))?, bits, elements, count)
            }
            Packing::Columns => {
                let (columns, counts) = (read(columns::COLUMNS)?, read(columns::COUNTS)?);
                columns::places([&columns, &counts], shape, count)
            }
            Packing::Groups { kept, of, axis } => {
                Groups { kept, of, axis }.places(&read(PLACES)?, shape)
            }
        };
        Ok(places.map(|places| {
            for (place, value) in places.into_iter().zip(values.chunks_exact(size)) {
                out[place * size..(place + 1) * size].copy_from_slice(value);
            }
            out
        }))
    }
}
