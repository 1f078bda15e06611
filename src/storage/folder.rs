//! Tensors by their names, wherever among a model's files they lie.
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::floats::{is_float, rounded, widen};
use super::packed::{Content, Contents};
use super::patch::check_values;
use super::{Header, Index, TensorInfo, Weights};
use crate::{Error, Result};

/// Most bytes that are read at once.
const PIECE: usize = 1 << 20;

/// A model's weights by name. Values are read where they lie: nothing is held but the headers.
#[derive(Debug)]
pub struct Folder {
    index: Option<Index>,
    files: Vec<Header>,
    /// The tensors of each file, and what they are as they were before they were packed.
    contents: Vec<Vec<(Content, TensorInfo)>>,
    /// File, and tensor in it.
    places: HashMap<String, (usize, usize)>,
    /// What stands in place of what the files hold, in row-major order.
    other: HashMap<String, Vec<f32>>,
}

impl Folder {
    /// Opens what [`Weights::open`] does: a folder, an index, or a safetensors file.
    ///
    /// # Errors
    /// Those of [`Weights::open`], which names shards and tensors that are missing or there twice.
    pub fn open(path: &Path) -> Result<Self> {
        Self::of(Weights::open(path)?)
    }

    /// The tensors of these `weights`.
    ///
    /// # Errors
    /// [`Error::File`] names a tensor that is in two files.
    pub fn of(weights: Weights) -> Result<Self> {
        let Weights { index, files } = weights;
        let mut places: HashMap<String, (usize, usize)> = HashMap::new();
        let mut contents = Vec::new();
        for (file, header) in files.iter().enumerate() {
            let all = Contents::of(header)?.tensors.into_iter().map(|content| {
                let info = content.info(header);
                (content, info)
            });
            let all: Vec<_> = all.collect();
            for (i, (tensor, _)) in all.iter().enumerate() {
                if let Some((other, _)) = places.insert(tensor.name.clone(), (file, i)) {
                    let (name, other) = (&tensor.name, files[other].path.display());
                    let message = format!("{name} is also in {other}; leave it in one of them");
                    return Err(Error::file(&header.path, message));
                }
            }
            contents.push(all);
        }
        Ok(Self { index, files, contents, places, other: HashMap::new() })
    }

    /// The same, where tensors have other `values` by their names, rounded to what their files
    /// have. They are read in place of the files' ones; nothing is written, and no other folder is
    /// made of such a one.
    ///
    /// # Errors
    /// As [`Patch::put`](super::Patch::put), as far as nothing is written.
    pub fn with_values(
        mut self,
        values: impl IntoIterator<Item = (String, Vec<f32>)>,
    ) -> Result<Self> {
        for (name, values) in values {
            let (file, info) = self.floats(&name)?;
            check_values(&self.files[file].path, info, &values)?;
            let rounded = rounded(&info.dtype, &values);
            self.other.insert(name, rounded);
        }
        Ok(self)
    }

    /// The folder that the files lie in, and with them the model's configuration.
    pub fn path(&self) -> PathBuf {
        let beside = self.index.as_ref().map(|index| &index.path);
        let file = beside.or_else(|| self.files.first().map(|file| &file.path));
        let folder = file.and_then(|file| file.parent()).unwrap_or(Path::new(""));
        if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder.to_owned() }
    }

    /// What says which tensor is in which file, where there are several.
    pub fn index(&self) -> Option<&Index> {
        self.index.as_ref()
    }

    /// The files, in the order of their names.
    pub fn files(&self) -> &[Header] {
        &self.files
    }

    /// All tensors, in the order of files and bytes.
    pub fn tensors(&self) -> impl Iterator<Item = &TensorInfo> {
        self.contents.iter().flatten().map(|(_, info)| info)
    }

    /// That no tensor is packed, or has other values than its file: what is written in the place of
    /// one lies where it does, and all others are copied.
    ///
    /// # Errors
    /// [`Error::File`] names the way out.
    pub(super) fn check_dense(&self) -> Result<()> {
        if let Some(name) = self.other.keys().next() {
            let message = format!("{name} has values that are in no file; save them first");
            return Err(Error::file(self.path(), message));
        }
        let all = self.files.iter().zip(&self.contents);
        let is_packed = |(_, all): &(&Header, &Vec<(Content, TensorInfo)>)| {
            all.iter().any(|(content, _)| content.in_parts)
        };
        match all.into_iter().find(is_packed) {
            None => Ok(()),
            Some((file, _)) => Err(packed(&file.path)),
        }
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(Header::file_bytes).sum()
    }

    /// What tells these files from others, whatever they are called: 32 hexadecimal digits. All of
    /// them is read.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub fn fingerprint(&self) -> Result<String> {
        let mut hash = Xxh3::new();
        let mut bytes = vec![0; PIECE];
        for file in &self.files {
            // The header says where the file ends.
            hash.update(&file.bytes);
            let (mut at, end) = (file.bytes.len() as u64, file.file_bytes());
            while at < end {
                let piece = (end - at).min(PIECE as u64) as usize;
                file.read(at, &mut bytes[..piece])?;
                hash.update(&bytes[..piece]);
                at += piece as u64;
            }
        }
        Ok(format!("{:032x}", hash.digest128()))
    }

    /// The tensor `name`, where it is there.
    pub fn get(&self, name: &str) -> Option<&TensorInfo> {
        self.places.get(name).map(|&(file, i)| &self.contents[file][i].1)
    }

    /// The tensor `name`.
    ///
    /// # Errors
    /// [`Error::File`] where there is none: the nearest name is named.
    pub fn info(&self, name: &str) -> Result<&TensorInfo> {
        self.place(name).map(|(file, i)| &self.contents[file][i].1)
    }

    /// All values of a tensor of f32, f16, bf16 or f64, in row-major order.
    ///
    /// # Errors
    /// Of [`info`](Self::info); [`Error::File`] for another dtype, [`Error::Io`] where the file
    /// cannot be read.
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>> {
        let len = self.info(name)?.len();
        self.read_range(name, 0..len)
    }

    /// How many elements of a tensor are zero, whatever their sign.
    ///
    /// # Errors
    /// As [`read_f32`](Self::read_f32).
    pub fn zeros(&self, name: &str) -> Result<u64> {
        let (file, info) = self.floats(name)?;
        if let Some(values) = self.other.get(name) {
            return Ok(values.iter().filter(|&&x| x == 0.0).count() as u64);
        }
        if let Some(content) = self.packed(name)? {
            let bytes = content.read(&self.files[file])?;
            return Ok(info.len() - info.dtype.nonzero(&bytes).unwrap_or(0));
        }
        let mut bytes = vec![0; PIECE];
        let (mut at, mut zeros) = (0, info.len());
        while at < info.bytes {
            // A whole number of elements of every dtype.
            let piece = (info.bytes - at).min(PIECE as u64) as usize;
            self.files[file].read(info.offset + at, &mut bytes[..piece])?;
            zeros -= info.dtype.nonzero(&bytes[..piece]).unwrap_or(0);
            at += piece as u64;
        }
        Ok(zeros)
    }

    /// The elements `range` of a tensor.
    ///
    /// # Errors
    /// As [`read_f32`](Self::read_f32); [`Error::Shape`] for a range that leaves the tensor.
    pub fn read_range(&self, name: &str, range: Range<u64>) -> Result<Vec<f32>> {
        let (file, info) = self.floats(name)?;
        if range.start > range.end || range.end > info.len() {
            let message = format!("elements {range:?} of a tensor that has {}", info.len());
            return Err(Error::shape(name, message));
        }
        if let Some(values) = self.other.get(name) {
            return Ok(values[range.start as usize..range.end as usize].to_vec());
        }
        let mut values = vec![0.0; (range.end - range.start) as usize];
        match self.packed(name)? {
            Some(content) => {
                let bytes = content.read(&self.files[file])?;
                let [from, to] =
                    [range.start, range.end].map(|at| at as usize * info.element_bytes());
                widen(&info.dtype, &bytes[from..to], &mut values);
            }
            None => fill(&self.files[file], info, range.start, &mut values)?,
        }
        Ok(values)
    }

    /// Rows of a matrix `[rows, width]` one after the other, as for the tokens of a text: the rest
    /// of the table is not read.
    ///
    /// # Errors
    /// As [`read_f32`](Self::read_f32); [`Error::Shape`] for a tensor that is no matrix, and for a
    /// row that it does not have.
    pub fn read_rows(&self, name: &str, rows: impl IntoIterator<Item = u32>) -> Result<Vec<f32>> {
        let (file, info) = self.floats(name)?;
        let &[count, width] = &info.shape[..] else {
            let message = format!("{:?} has no rows; a table is [rows, width]", info.shape);
            return Err(Error::shape(name, message));
        };
        let whole = match (self.other.get(name), self.packed(name)?) {
            (Some(values), _) => Some(Cow::Borrowed(values)),
            (None, Some(_)) => Some(Cow::Owned(self.read_f32(name)?)),
            (None, None) => None,
        };
        let mut values = Vec::new();
        for row in rows {
            if row as usize >= count {
                let message =
                    format!("row {row} of a table of {count}; take ids of its vocabulary");
                return Err(Error::shape(name, message));
            }
            let from = values.len();
            if let Some(whole) = &whole {
                let first = row as usize * width;
                values.extend_from_slice(&whole[first..first + width]);
                continue;
            }
            values.resize(from + width, 0.0);
            fill(&self.files[file], info, u64::from(row) * width as u64, &mut values[from..])?;
        }
        Ok(values)
    }

    /// Whether the tensor `name` is there and packed, so that a part of it takes reading all.
    pub(crate) fn is_packed(&self, name: &str) -> bool {
        matches!(self.packed(name), Ok(Some(_)))
    }

    /// The tensor `name`, where it is packed.
    fn packed(&self, name: &str) -> Result<Option<&Content>> {
        let (file, i) = self.place(name)?;
        Ok(Some(&self.contents[file][i].0).filter(|content| content.in_parts))
    }

    fn place(&self, name: &str) -> Result<(usize, usize)> {
        self.places.get(name).copied().ok_or_else(|| {
            let of = |other: &&String| (strsim::levenshtein(name, other), (*other).clone());
            let nearest = self.places.keys().min_by_key(of);
            let message = match nearest {
                Some(nearest) => format!("holds no tensor {name}; the nearest is {nearest}"),
                None => format!("holds no tensor {name}, nor any other"),
            };
            Error::file(self.path(), message)
        })
    }

    /// The file of a tensor that has values for [`widen`], and what it is.
    pub(super) fn floats(&self, name: &str) -> Result<(usize, &TensorInfo)> {
        let (file, i) = self.place(name)?;
        let header = &self.files[file];
        let info = &self.contents[file][i].1;
        if !is_float(&info.dtype) {
            let message = format!("{name} is {}, no F32, F16, BF16 or F64", info.dtype);
            let way = "take the model as it was before it was quantised";
            return Err(Error::file(&header.path, format!("{message}; {way}")));
        }
        Ok((file, info))
    }
}

/// What is said of a packed file where its tensors are to be changed.
pub(crate) fn packed(path: &Path) -> Error {
    let message = "has packed matrices; make them dense first: secateur export INPUT -o OUTPUT \
                   --format dense";
    Error::file(path, message)
}

/// Reads elements from `first` on.
fn fill(header: &Header, info: &TensorInfo, first: u64, values: &mut [f32]) -> Result<()> {
    // No element has more than 8 bytes; a tensor without any has no place to read.
    let size = info.element_bytes().max(1);
    let mut bytes = vec![0; (values.len() * size).min(PIECE)];
    let mut offset = info.offset + first * size as u64;
    for piece in values.chunks_mut(PIECE / size) {
        let bytes = &mut bytes[..piece.len() * size];
        header.read(offset, bytes)?;
        widen(&info.dtype, bytes, piece);
        offset += bytes.len() as u64;
    }
    Ok(())
}
