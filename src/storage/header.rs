//! What a safetensors file says of itself, without its tensors.
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, Metadata};

use crate::{Error, Result};

/// Largest header that readers of the format take, in bytes.
pub const MAX_HEADER: u64 = 100_000_000;
/// Bytes of the header's length, in front of it.
pub const PREFIX: usize = 8;

/// A safetensors file whose header has been read.
#[derive(Debug)]
pub struct Header {
    /// The file.
    pub path: PathBuf,
    /// Its first bytes: the header's length and the header.
    pub bytes: Vec<u8>,
    /// What its writer noted.
    pub metadata: HashMap<String, String>,
    /// Its tensors, in the order of their bytes.
    pub tensors: Vec<TensorInfo>,
    file: File,
}

/// A tensor of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorInfo {
    /// Name.
    pub name: String,
    /// Type of an element.
    pub dtype: Dtype,
    /// Extents.
    pub shape: Vec<usize>,
    /// First byte in the file.
    pub offset: u64,
    /// Bytes.
    pub bytes: u64,
}

impl TensorInfo {
    /// Elements.
    pub fn len(&self) -> u64 {
        self.shape.iter().map(|&d| d as u64).product()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of an element; 0 for less than one, or for no element.
    pub fn element_bytes(&self) -> usize {
        self.bytes.checked_div(self.len()).unwrap_or(0) as usize
    }
}

impl Header {
    /// Opens the safetensors file at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::File`] for anything but a whole safetensors
    /// file.
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(Error::io("open", path))?;
        let len = file.metadata().map_err(Error::io("read", path))?.len();
        let wrong = |message: String| Error::file(path, message);
        let mut length = [0; PREFIX];
        file.read_exact(&mut length)
            .map_err(|_| wrong(format!("{len} bytes are too few for a safetensors file")))?;
        let header = u64::from_le_bytes(length);
        if header > MAX_HEADER.min(len - PREFIX as u64) {
            let message = format!("header of {header} bytes in a file of {len}");
            return Err(wrong(format!("{message}: not a safetensors file")));
        }
        let mut bytes = length.to_vec();
        bytes.resize(PREFIX + header as usize, 0);
        file.read_exact(&mut bytes[PREFIX..]).map_err(Error::io("read", path))?;
        let metadata: Metadata = serde_json::from_slice(&bytes[PREFIX..])
            .map_err(|e| wrong(format!("its header is damaged: {e}")))?;
        let start = bytes.len() as u64;
        let end = start + metadata.data_len() as u64;
        if end != len {
            return Err(wrong(format!("{len} bytes, the header describes {end}")));
        }
        let info = |(name, info): (String, &safetensors::tensor::TensorInfo)| TensorInfo {
            name,
            dtype: info.dtype,
            shape: info.shape.clone(),
            offset: start + info.data_offsets.0 as u64,
            bytes: (info.data_offsets.1 - info.data_offsets.0) as u64,
        };
        let mut tensors: Vec<TensorInfo> = metadata.tensors().into_iter().map(info).collect();
        // Empty tensors share their offset with the next one.
        tensors.sort_by(|a, b| (a.offset, a.bytes, &a.name).cmp(&(b.offset, b.bytes, &b.name)));
        let metadata = metadata.metadata().clone().unwrap_or_default();
        Ok(Self { path: path.to_owned(), bytes, metadata, tensors, file })
    }

    /// The file, where the tensors begin: they follow each other in their order.
    pub(crate) fn into_file(self) -> Result<File> {
        let Self { mut file, path, bytes, .. } = self;
        file.seek(SeekFrom::Start(bytes.len() as u64)).map_err(Error::io("read", path))?;
        Ok(file)
    }

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn read(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let Self { file, path, .. } = self;
        file.seek(SeekFrom::Start(offset)).map_err(Error::io("read", &*path))?;
        file.read_exact(buffer).map_err(Error::io("read", &*path))
    }
}

/// Elements of `bytes` whose bits are not all clear; the sign bit of a float does not count.
pub fn nonzero(bytes: &[u8], dtype: Dtype, element_bytes: usize) -> u64 {
    let float = matches!(dtype, Dtype::F16 | Dtype::BF16 | Dtype::F32 | Dtype::F64);
    let is_set = |element: &[u8]| {
        let Some((last, rest)) = element.split_last() else { return false };
        let last = if float { last & 0x7f } else { *last };
        last != 0 || rest.iter().any(|&b| b != 0)
    };
    bytes.chunks_exact(element_bytes.max(1)).filter(|e| is_set(e)).count() as u64
}
