//! What a safetensors file says of itself, without its tensors.
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

use super::Dtype;
use super::foreign::{FIRST, looks_like};
use super::input::open_plain;
use super::positioned::read_at;
use crate::{Error, Result};

/// Largest header that readers of the format take, in bytes.
pub const MAX_HEADER: u64 = 100_000_000;
/// Bytes of the header's length, in front of it.
pub const PREFIX: usize = 8;
/// The key of what a file's writer noted, among the names of tensors.
pub(super) const RESERVED: &str = "__metadata__";

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
    source: Source,
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
    /// file: what it looks like, where that can be told.
    pub fn open(path: &Path) -> Result<Self> {
        let file = open_plain(path)?;
        let found = file.metadata().map_err(Error::io("read", path))?;
        Self::of(path, Source::File(file), found.len())
    }

    /// The file of these `bytes`; `path` is what errors call it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self> {
        let len = bytes.len() as u64;
        Self::of(path, Source::Bytes(Cursor::new(bytes)), len)
    }

    fn of(path: &Path, mut source: Source, len: u64) -> Result<Self> {
        let mut first = Vec::new();
        let head = source.by_ref().take(FIRST as u64).read_to_end(&mut first);
        head.map_err(Error::io("read", path))?;
        let wrong = |message: String| match looks_like(path, &first) {
            Some((what, way)) => {
                Error::file(path, format!("is no safetensors file but {what}; {way}"))
            }
            None => Error::file(path, message),
        };
        let Some(length) = first.first_chunk::<PREFIX>() else {
            return Err(wrong(format!("{len} bytes are too few for a safetensors file")));
        };
        let header = u64::from_le_bytes(*length);
        if header > MAX_HEADER.min(len.saturating_sub(PREFIX as u64)) {
            let message = format!("header of {header} bytes in a file of {len}");
            return Err(wrong(format!("{message}: not a safetensors file")));
        }
        let mut bytes = vec![0; PREFIX + header as usize];
        source.seek(SeekFrom::Start(0)).map_err(Error::io("read", path))?;
        source.read_exact(&mut bytes).map_err(Error::io("read", path))?;
        let damaged = |e: serde_json::Error| format!("its header is damaged: {e}");
        let parsed: Parsed = match serde_json::from_slice(&bytes[PREFIX..]) {
            Ok(parsed) => parsed,
            // Anything may look like a short header; a long one is one.
            Err(e) if header == 0 => return Err(wrong(damaged(e))),
            Err(e) => return Err(Error::file(path, damaged(e))),
        };
        let start = bytes.len() as u64;
        let (tensors, end) = parsed.tensors(start).map_err(|m| Error::file(path, m))?;
        if end != len {
            let message = format!("{len} bytes, the header describes {end}; download it again");
            return Err(Error::file(path, message));
        }
        let metadata = parsed.metadata;
        Ok(Self { path: path.to_owned(), bytes, metadata, tensors, source })
    }

    /// Bytes of the file.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.tensors.last().map_or(self.bytes.len() as u64, |last| last.offset + last.bytes)
    }

    /// The file, where the tensors begin: they follow each other in their order.
    pub(crate) fn into_source(self) -> Result<impl Read> {
        let Self { mut source, path, bytes, .. } = self;
        source.seek(SeekFrom::Start(bytes.len() as u64)).map_err(Error::io("read", path))?;
        Ok(source)
    }

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        let read = match &self.source {
            Source::File(file) => read_at(file, buffer, offset),
            Source::Bytes(bytes) => {
                let mut bytes = Cursor::new(bytes.get_ref());
                bytes.set_position(offset);
                bytes.read_exact(buffer)
            }
        };
        read.map_err(Error::io("read", &self.path))
    }
}

/// Where the bytes of a file are.
#[derive(Debug)]
enum Source {
    File(File),
    Bytes(Cursor<Vec<u8>>),
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Bytes(bytes) => bytes.read(buffer),
        }
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::File(file) => file.seek(to),
            Self::Bytes(bytes) => bytes.seek(to),
        }
    }
}

/// A header as it is written. Types are texts here: a file may have types that nobody knows.
struct Parsed {
    metadata: HashMap<String, String>,
    entries: Vec<(String, Entry)>,
}

#[derive(serde::Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: (u64, u64),
}

impl Parsed {
    /// The tensors in the order of their bytes, which follow each other without a gap from `start`
    /// on; and where they end.
    fn tensors(&self, start: u64) -> Result<(Vec<TensorInfo>, u64), String> {
        let mut entries: Vec<_> = self.entries.iter().collect();
        // Empty tensors share their offset with the next one.
        entries.sort_by(|(a, x), (b, y)| (x.data_offsets, a).cmp(&(y.data_offsets, b)));
        let mut end = 0;
        let mut tensors = Vec::with_capacity(entries.len());
        for (name, Entry { dtype, shape, data_offsets: (from, to) }) in entries {
            if *from != end || to < from {
                return Err(format!(
                    "its header is damaged: {name} is at bytes {from} to {to}, it should begin at \
                     {end}"
                ));
            }
            let (dtype, bytes) = (Dtype::named(dtype), to - from);
            let product =
                shape.iter().try_fold(1u64, |all, &extent| all.checked_mul(extent as u64));
            let Some(len) = product else {
                return Err(format!(
                    "its header is damaged: {name} is {shape:?}, too many elements"
                ));
            };
            let needed = dtype.bits().map(|bits| u128::from(len) * u128::from(bits));
            if needed.is_some_and(|needed| needed != u128::from(bytes) * 8) {
                let needed = needed.unwrap_or_default() as f64 / 8.0;
                return Err(format!(
                    "its header is damaged: {name} has {bytes} bytes, {dtype} of {shape:?} needs \
                     {needed}"
                ));
            }
            end = *to;
            let offset =
                start.checked_add(*from).ok_or_else(|| format!("{name} is at byte {from}"))?;
            tensors.push(TensorInfo {
                name: name.clone(),
                dtype,
                shape: shape.clone(),
                offset,
                bytes,
            });
        }
        let end = start.checked_add(end).ok_or_else(|| format!("its tensors end at byte {end}"))?;
        Ok((tensors, end))
    }
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Parsed;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors by their names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parsed, A::Error> {
                let mut parsed = Parsed { metadata: HashMap::new(), entries: Vec::new() };
                let mut seen = HashSet::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !seen.insert(name.clone()) {
                        return Err(A::Error::custom(format!("{name} is there twice")));
                    }
                    if name == RESERVED {
                        parsed.metadata = map.next_value::<Option<_>>()?.unwrap_or_default();
                    } else {
                        parsed.entries.push((name, map.next_value()?));
                    }
                }
                Ok(parsed)
            }
        }
        deserializer.deserialize_map(Names)
    }
}
