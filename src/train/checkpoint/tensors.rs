//! Tensors in safetensors files, streamed: neither side holds a second copy of the values.
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo as Entry};

use super::manifest::{FileEntry, Hashing};
use crate::storage::{Header, MAX_HEADER, PREFIX, TensorInfo};
use crate::{Error, Result};

const WORD: usize = 4;
const BUFFER: usize = 1 << 16;
const RESERVED: &str = "__metadata__";

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

    fn dtype(&self) -> Dtype {
        match self {
            Self::F32(_) => Dtype::F32,
            Self::U32(_) => Dtype::U32,
        }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        match self {
            Self::F32(values) => values.iter().try_for_each(|v| out.write_all(&v.to_le_bytes())),
            Self::U32(values) => values.iter().try_for_each(|v| out.write_all(&v.to_le_bytes())),
        }
    }
}

/// Writes the file `name` in `folder`, sorted by tensor name, and makes it durable.
pub(super) fn write(folder: &Path, name: &str, tensors: &[Tensor]) -> Result<FileEntry> {
    let mut sorted: Vec<&Tensor> = tensors.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let header = header(name, &sorted)?;

    let path = folder.join(name);
    let file = File::create_new(&path).map_err(Error::io("create", &path))?;
    let values: usize = sorted.iter().map(|tensor| tensor.data.len()).sum();
    let bytes = PREFIX + header.len() + values * WORD;
    reserve(&file, bytes as u64).map_err(Error::io("reserve room for", &path))?;
    let mut out = BufWriter::with_capacity(BUFFER, Hashing::new(file));
    out.write_all(&(header.len() as u64).to_le_bytes())
        .and_then(|()| out.write_all(&header))
        .and_then(|()| sorted.iter().try_for_each(|tensor| tensor.data.write(&mut out)))
        .map_err(Error::io("write", &path))?;
    let sink = out.into_inner().map_err(|error| Error::io("write", &path)(error.into_error()))?;
    sink.out.sync_all().map_err(Error::io("sync", &path))?;
    Ok(sink.entry(name))
}

/// Makes a full disk show before the first byte is written, where the file system can.
#[cfg(target_os = "linux")]
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::{Errno, retry_on_intr};
    match retry_on_intr(|| fallocate(file, FallocateFlags::empty(), 0, bytes)) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        reserved => Ok(reserved?),
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(_: &File, _: u64) -> io::Result<()> {
    Ok(())
}

/// Reads all tensors of a file, in the order of their data.
pub(super) fn read(path: &Path) -> Result<Vec<Tensor>> {
    let header = Header::open(path)?;
    let infos = header.tensors.clone();
    let mut input = BufReader::with_capacity(BUFFER, header.into_file()?);
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

/// The JSON header, padded so that the data starts at a multiple of 8 bytes.
fn header(file: &str, sorted: &[&Tensor]) -> Result<Vec<u8>> {
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
    let metadata = Metadata::new(None, infos).map_err(|error| refused(error.to_string()))?;
    let mut header = serde_json::to_vec(&metadata).map_err(|error| refused(error.to_string()))?;
    header.resize(header.len().next_multiple_of(8), b' ');
    if header.len() as u64 > MAX_HEADER {
        return Err(refused(format!("header of {} bytes, limit {MAX_HEADER}", header.len())));
    }
    Ok(header)
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
