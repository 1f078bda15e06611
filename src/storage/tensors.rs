//! Tensors in safetensors files, streamed: neither side holds a second copy of the values.
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use safetensors::Dtype as Written;
use safetensors::tensor::{Metadata, TensorInfo as Entry};

use super::floats::is_float;
use super::header::RESERVED;
use super::packed::{Content, Contents};
use super::{Dtype, Header, MAX_HEADER, PREFIX, TensorInfo};
use crate::{Error, Result};

const WORD: usize = 4;
const BUFFER: usize = 1 << 16;
/// Most threads that read one file.
const READERS: usize = 4;

/// A named tensor on the host.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Name, unique within its file.
    pub name: String,
    /// Length of each dimension, slowest first; empty for a scalar.
    pub shape: Vec<usize>,
    /// Values in row-major order.
    pub data: TensorData,
}

/// Values of a [`Tensor`].
#[derive(Debug, Clone, PartialEq)]
pub enum TensorData {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 32-bit words, such as packed masks.
    U32(Vec<u32>),
}

impl TensorData {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::U32(values) => values.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn dtype(&self) -> Written {
        match self {
            Self::F32(_) => Written::F32,
            Self::U32(_) => Written::U32,
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::F32(values) => values.iter().try_for_each(|v| out.write_all(&v.to_le_bytes())),
            Self::U32(values) => values.iter().try_for_each(|v| out.write_all(&v.to_le_bytes())),
        }
    }
}

/// Tensors as a file: its header, and the order of their values.
#[derive(Debug)]
pub struct Encoding<'a> {
    header: Vec<u8>,
    /// By name.
    sorted: Vec<&'a Tensor>,
}

impl<'a> Encoding<'a> {
    /// `tensors` sorted by name, with `metadata` for those who read it; `file` is for errors.
    ///
    /// # Errors
    /// [`Error::Argument`] for a name that is reserved or given twice, [`Error::Shape`] for a
    /// tensor whose shape and data disagree.
    pub fn new(
        file: &str,
        tensors: &'a [Tensor],
        metadata: Option<HashMap<String, String>>,
    ) -> Result<Self> {
        let mut sorted: Vec<&Tensor> = tensors.iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { header: header(file, &sorted, metadata)?, sorted })
    }

    /// Length of the file in bytes.
    pub fn bytes(&self) -> u64 {
        let values: usize = self.sorted.iter().map(|tensor| tensor.data.len()).sum();
        (PREFIX + self.header.len() + values * WORD) as u64
    }

    /// Writes the file to `out`.
    ///
    /// # Errors
    /// Of `out`.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&(self.header.len() as u64).to_le_bytes())?;
        out.write_all(&self.header)?;
        self.sorted.iter().try_for_each(|tensor| tensor.data.write(out))
    }
}

/// Reads all tensors of the file at `path`, in the order of their data: f32 and 32-bit words as
/// they are.
///
/// # Errors
/// [`Error::File`] for a damaged file, or another dtype; [`Error::Io`] where it cannot be read.
pub fn read_tensors(path: &Path) -> Result<Vec<Tensor>> {
    tensors_of(Header::open(path)?, path)
}

/// As [`read_tensors`], of a file's `bytes`; `path` is what errors call it.
pub(crate) fn tensors_from(bytes: Vec<u8>, path: &Path) -> Result<Vec<Tensor>> {
    tensors_of(Header::from_bytes(path, bytes)?, path)
}

fn tensors_of(header: Header, path: &Path) -> Result<Vec<Tensor>> {
    let infos = header.tensors.clone();
    let mut input = BufReader::with_capacity(BUFFER, header.into_source()?);
    let mut tensors = Vec::with_capacity(infos.len());
    for TensorInfo { name, dtype, shape, bytes, .. } in infos {
        let count = bytes as usize / WORD;
        let data = match dtype {
            Dtype::F32 => words(&mut input, count, f32::from_le_bytes).map(TensorData::F32),
            Dtype::U32 => words(&mut input, count, u32::from_le_bytes).map(TensorData::U32),
            other => {
                let message = format!("{name} is {other}, a checkpoint has F32 and U32");
                return Err(Error::file(path, format!("{message}; use another checkpoint")));
            }
        };
        let data = data.map_err(Error::io("read", path))?;
        tensors.push(Tensor { name, shape, data });
    }
    Ok(tensors)
}

/// Other people's weights, as [`read_floats`] reads them.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Floats {
    /// Each tensor of f32, f16, bf16 or f64, as f32.
    pub tensors: Vec<Tensor>,
    /// What the file's writer noted.
    pub metadata: HashMap<String, String>,
    /// Names of the tensors that are no floats: they are left out.
    pub others: Vec<String>,
    /// Names of those that the file has packed.
    pub packed: Vec<String>,
}

/// Reads all tensors of floats of the file at `path` as f32, packed ones ([`pack`](super::pack))
/// among them.
///
/// # Errors
/// As [`read_tensors`].
pub fn read_floats(path: &Path) -> Result<Floats> {
    let mut header = Header::open(path)?;
    let metadata = std::mem::take(&mut header.metadata);
    let (tensors, others): (Vec<_>, Vec<_>) =
        Contents::of(&header)?.tensors.into_iter().partition(|t| is_float(&t.dtype));
    let packed = tensors.iter().filter(|t| t.packing.is_some()).map(|t| t.name.clone()).collect();
    let values = values_of(&header, &tensors)?;
    let tensor = |(Content { name, shape, .. }, values)| Tensor {
        name,
        shape,
        data: TensorData::F32(values),
    };
    let floats = tensors.into_iter().zip(values).map(tensor).collect();
    let others = others.into_iter().map(|t| t.name).collect();
    Ok(Floats { tensors: floats, metadata, others, packed })
}

/// The elements of each of `tensors`. A system gives new memory page by page, which takes as long as
/// reading does: several threads share it.
fn values_of(header: &Header, tensors: &[Content]) -> Result<Vec<Vec<f32>>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = tensors.len().clamp(1, cores.min(READERS));
    let every = |first: usize| -> Result<Vec<_>> {
        let own = tensors.iter().skip(first).step_by(threads);
        own.map(|tensor| tensor.read_floats(header)).collect()
    };
    let every = &every;
    let parts = std::thread::scope(|scope| {
        let begun: Vec<_> = (0..threads).map(|first| scope.spawn(move || every(first))).collect();
        let joined = begun.into_iter().map(std::thread::ScopedJoinHandle::join);
        let parts = joined.map(|part| part.unwrap_or_else(|e| std::panic::resume_unwind(e)));
        parts.collect::<Result<Vec<_>>>()
    })?;
    let mut parts: Vec<_> = parts.into_iter().map(Vec::into_iter).collect();
    Ok((0..tensors.len()).filter_map(|i| parts[i % threads].next()).collect())
}

/// The JSON header, padded so that the data starts at a multiple of 8 bytes.
fn header(
    file: &str,
    sorted: &[&Tensor],
    metadata: Option<HashMap<String, String>>,
) -> Result<Vec<u8>> {
    let mut names = HashSet::new();
    let mut infos = Vec::with_capacity(sorted.len());
    let mut begin = 0;
    for tensor in sorted {
        let Tensor { name, shape, data } = tensor;
        if name == RESERVED || !names.insert(name) {
            let message = format!("is reserved or given twice in {file}; rename one");
            return Err(Error::argument(name, message));
        }
        let values = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
        if values != Some(data.len()) {
            let message = format!("shape {shape:?} does not hold the {} values given", data.len());
            return Err(Error::shape(name, message));
        }
        let end = begin + data.len() * WORD;
        let info = Entry { dtype: data.dtype(), shape: shape.clone(), data_offsets: (begin, end) };
        infos.push((name.clone(), info));
        begin = end;
    }
    let refused = |error: String| Error::argument(file, error);
    let metadata = Metadata::new(metadata, infos).map_err(|error| refused(error.to_string()))?;
    let mut header = sorted_json(&metadata).map_err(|error| refused(error.to_string()))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    if header.len() as u64 > MAX_HEADER {
        return Err(refused(format!("header of {} bytes, limit {MAX_HEADER}", header.len())));
    }
    Ok(header)
}

/// The header with the writer's notes sorted by their keys: the same tensors and notes are the same
/// bytes.
fn sorted_json(metadata: &Metadata) -> serde_json::Result<Vec<u8>> {
    let mut value = serde_json::to_value(metadata)?;
    if let Some(notes) = value.get_mut(RESERVED) {
        let sorted: BTreeMap<String, String> = serde_json::from_value(notes.take())?;
        *notes = serde_json::to_value(sorted)?;
    }
    serde_json::to_vec(&value)
}

fn words<T>(input: &mut impl Read, count: usize, value: fn([u8; WORD]) -> T) -> io::Result<Vec<T>> {
    let mut values = Vec::with_capacity(count);
    let mut word = [0; WORD];
    for _ in 0..count {
        input.read_exact(&mut word)?;
        values.push(value(word));
    }
    Ok(values)
}
