//! The tensors of a file as they were before matrices were packed.
use std::collections::{HashMap, HashSet};

use super::packing::Packing;
use super::{bitmask, sparse};
use crate::storage::{Dtype, Header, TensorInfo};
use crate::{Error, Result};

/// Elements of a dense matrix a byte of its parts at most: a header of a few bytes must not ask for
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
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// How it is packed.
    pub(crate) packing: Option<Packing>,
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
        let elements: u64 = self.shape.iter().map(|&d| d as u64).product();
        elements * self.dtype.bits().unwrap_or(8) / 8
    }
}

/// The parts of each layout: the one that it is known by first. The last one may be missing.
const SPARSE: [&str; 4] = [sparse::CROW, sparse::COLUMNS, sparse::VALUES, sparse::SHAPE];
const BITMASK: [&str; 4] = [bitmask::BITS, bitmask::KEPT, bitmask::SHAPE, bitmask::OFFSETS];

impl Contents {
    /// What is in `file`.
    ///
    /// # Errors
    /// [`Error::File`] names the tensor whose parts are incomplete, or do not fit each other.
    pub(crate) fn of(file: &Header) -> Result<Self> {
        let places: HashMap<&str, usize> =
            file.tensors.iter().enumerate().map(|(i, t)| (t.name.as_str(), i)).collect();
        let (mut packed, mut taken) = (HashMap::new(), HashSet::new());
        for tensor in &file.tensors {
            for names in [SPARSE, BITMASK] {
                let of = tensor.name.strip_suffix(names[0]).and_then(|n| n.strip_suffix('.'));
                let Some(stem) = of else { continue };
                let place =
                    |part| places.get(format!("{stem}.{part}").as_str()).map(|&i| (part, i));
                let parts: Vec<_> = names.into_iter().filter_map(place).collect();
                // A tensor of somebody's own that is called so.
                if parts.len() == 1 {
                    continue;
                }
                let needed = if names == SPARSE { 4 } else { 3 };
                let missing = names.iter().take(needed).find(|name| place(name).is_none());
                if let Some(missing) = missing {
                    let message = format!("{stem} is packed, but {stem}.{missing} is missing");
                    return Err(Error::file(&file.path, message));
                }
                taken.extend(parts.iter().map(|&(_, i)| i));
                let content = content(file, stem, parts)?;
                let at = content.part(names[if names == SPARSE { 2 } else { 1 }]).unwrap_or(0);
                if places.contains_key(content.name.as_str()) {
                    let message = format!("{} is there both packed and dense", content.name);
                    return Err(Error::file(&file.path, message));
                }
                packed.insert(at, content);
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
                    parts: vec![("", i)],
                }),
            }
        }
        Ok(Self { tensors })
    }
}

/// What the parts of `stem` are together.
fn content(file: &Header, stem: &str, parts: Vec<(&'static str, usize)>) -> Result<Content> {
    let wrong = |message: String| Error::file(&file.path, format!("{stem}: {message}"));
    let part = |name| parts.iter().find(|(part, _)| *part == name).map(|&(_, i)| &file.tensors[i]);
    let is = |name, dtypes: &[Dtype]| match part(name) {
        Some(found) if !dtypes.contains(&found.dtype) => {
            let wanted: Vec<String> = dtypes.iter().map(ToString::to_string).collect();
            Err(wrong(format!("{name} is {}, not {}", found.dtype, wanted.join(" or "))))
        }
        _ => Ok(()),
    };
    is(sparse::SHAPE, &[Dtype::I64])?;
    let shape = extents(file, part(sparse::SHAPE)).map_err(wrong)?;
    let (values, packing, name) = if let Some(bits) = part(bitmask::BITS) {
        is(bitmask::BITS, &[Dtype::U8])?;
        is(bitmask::OFFSETS, &[Dtype::I64])?;
        let bytes = shape[0].checked_mul(shape[1].div_ceil(8));
        if bytes.map(|bytes| bytes as u64) != Some(bits.bytes) {
            let message = format!("bitmask has {} bytes, which {shape:?} does not fit", bits.bytes);
            return Err(wrong(message));
        }
        let packing = match part(bitmask::OFFSETS) {
            Some(_) => Packing::Bitmask,
            None => Packing::TwoFour,
        };
        (part(bitmask::KEPT), packing, format!("{stem}.weight"))
    } else {
        is(sparse::CROW, &[Dtype::I32, Dtype::I64])?;
        let index = part(sparse::CROW).map_or(Dtype::I32, |crow| crow.dtype.clone());
        is(sparse::COLUMNS, &[index])?;
        let values = part(sparse::VALUES);
        let packing = match values.map_or(&[][..], |values| &values.shape) {
            [_] => Packing::Csr,
            &[_, rows, columns]
                if rows > 0
                    && columns > 0
                    && shape[0].is_multiple_of(rows)
                    && shape[1].is_multiple_of(columns) =>
            {
                Packing::Blocks { rows, columns }
            }
            other => {
                return Err(wrong(format!("values are {other:?}, which do not fit {shape:?}")));
            }
        };
        (values, packing, stem.to_owned())
    };
    let dtype = values.map_or(Dtype::F32, |values| values.dtype.clone());
    if dtype.mask().is_none() {
        return Err(wrong(format!("its values are {dtype}, which have no known zero")));
    }
    let bytes = parts.iter().map(|&(_, i)| file.tensors[i].bytes).sum::<u64>();
    let elements = (shape[0] as u64).checked_mul(shape[1] as u64);
    let most = bytes.saturating_mul(MOST);
    if elements.is_none_or(|elements| elements > most || elements > u64::from(u32::MAX) * 64) {
        return Err(wrong(format!("its shape {shape:?} is more than {bytes} bytes stand for")));
    }
    Ok(Content { name, dtype, shape: shape.to_vec(), packing: Some(packing), parts })
}

/// The extents that the part `shape` holds.
fn extents(file: &Header, shape: Option<&TensorInfo>) -> Result<[usize; 2], String> {
    let Some(shape) = shape.filter(|shape| shape.bytes == 16) else {
        let have = shape.map_or(0, |shape| shape.bytes / 8);
        return Err(format!("shape has {have} numbers; matrices are packed, which have 2"));
    };
    let mut bytes = [0; 16];
    file.read(shape.offset, &mut bytes).map_err(|e| e.to_string())?;
    let numbers = bytes.as_chunks::<8>().0;
    let extent = |i: usize| {
        let number = i64::from_le_bytes(numbers[i]);
        let positive = usize::try_from(number).ok().filter(|&n| n > 0);
        positive.ok_or_else(|| format!("shape has the extent {number}"))
    };
    Ok([extent(0)?, extent(1)?])
}

impl Content {
    fn part(&self, name: &str) -> Option<usize> {
        self.parts.iter().find(|(part, _)| *part == name).map(|&(_, i)| i)
    }

    /// All elements, as bytes of its type.
    ///
    /// # Errors
    /// [`Error::File`] names the tensor whose parts do not fit each other; [`Error::Io`].
    pub(crate) fn read(&self, file: &Header) -> Result<Vec<u8>> {
        let wrong = |message: String| Error::file(&file.path, format!("{}: {message}", self.name));
        let read = |name: &str| -> Result<Option<(Vec<u8>, &TensorInfo)>> {
            let Some(part) = self.part(name) else { return Ok(None) };
            let info = &file.tensors[part];
            let mut bytes = vec![0; info.bytes as usize];
            file.read(info.offset, &mut bytes)?;
            Ok(Some((bytes, info)))
        };
        let all = |name: &str| Ok::<_, Error>(read(name)?.map(|(b, _)| b).unwrap_or_default());
        let Some(packing) = self.packing else { return all("") };
        let shape = [self.shape[0], self.shape[1]];
        let size = self.dtype.mask().map_or(1, <[u8]>::len);
        let mut out = Vec::new();
        let bytes = self.dense_bytes() as usize;
        let room = out.try_reserve_exact(bytes);
        room.map_err(|_| wrong(format!("{bytes} bytes of memory are not to be had")))?;
        out.resize(bytes, 0);
        let dense = match packing {
            Packing::Csr | Packing::Blocks { .. } => {
                let block = match packing {
                    Packing::Blocks { rows, columns } => [rows, columns],
                    _ => [1, 1],
                };
                let (columns, values) = (all(sparse::COLUMNS)?, all(sparse::VALUES)?);
                let (begins, index) = match read(sparse::CROW)? {
                    Some((begins, info)) => (begins, &info.dtype),
                    None => (Vec::new(), &Dtype::I32),
                };
                sparse::dense([&begins, &columns, &values], index, block, shape, size, out)
            }
            Packing::Bitmask | Packing::TwoFour => {
                let (bits, kept) = (all(bitmask::BITS)?, all(bitmask::KEPT)?);
                let offsets = read(bitmask::OFFSETS)?.map(|(bytes, _)| bytes);
                bitmask::dense([&bits, &kept], offsets.as_deref(), shape, size, out)
            }
        };
        dense.map_err(wrong)
    }
}
