//! Arrays in NumPy's file format, plain or gzipped.
use super::arrays::{self, Array};
use super::file::{self, refused};
use super::{Dataset, OpenOptions, Schema};
use crate::{Error, Result};
use std::io::{self, Read};
use std::path::Path;

/// All rows of `path`, with the answers of the file that `options` names, or of the one after a
/// comma in `path`.
pub(super) fn rows(path: &Path, options: &OpenOptions, schema: Option<&Schema>) -> Result<Dataset> {
    let text = path.to_string_lossy();
    let (features, answers) = match text.split_once(',') {
        Some((features, answers)) if !path.exists() => (Path::new(features), Some(answers.into())),
        // The answers that `options` names are those of other rows.
        _ if options.test.as_deref() == Some(&*text) => {
            let message = format!("`{text}` has features only; give both files, as `X.npy,Y.npy`");
            return Err(Error::argument("test", message));
        }
        _ => (path, arrays::answers_of(options, |_| false)?),
    };
    if options.multi_label && answers.is_none() {
        let message = "needs `targets`: the file that holds the flags";
        return Err(Error::argument("multi_label", message));
    }
    let answers = answers.map(|file| open(Path::new(&file), "answers")).transpose()?;
    arrays::dataset(features, open(features, "features")?, answers, options, schema)
}

fn open(path: &Path, name: &str) -> Result<Array> {
    let reader = file::open(path)?;
    let reader = reader.ok_or_else(|| Error::file(path, "is missing; name a file *.npy"))?;
    read(path, name, reader)
}

/// Reads an array that is called `name` from `reader`, a part of the file `path`.
pub(super) fn read(path: &Path, name: &str, mut reader: impl Read) -> Result<Array> {
    let wrong = |message: String| Error::file(path, format!("`{name}`: {message}"));
    let mut begin = [0; 8];
    let (magic, version, length) = match reader.read_exact(&mut begin) {
        Ok(()) => (&begin[..6], begin[6], if begin[6] == 1 { 2 } else { 4 }),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(wrong("has fewer than the 8 bytes that an array begins with".into()));
        }
        Err(error) => return Err(refused(path)(error)),
    };
    if magic != b"\x93NUMPY" || !(1..=3).contains(&version) {
        return Err(wrong("is no array of NumPy, versions 1 to 3; save it by numpy.save".into()));
    }
    let length = u32::from_le_bytes(take(path, &mut reader, length)?.1);
    if length > MAX_HEADER {
        return Err(wrong(format!("has a header of {length} bytes, at most {MAX_HEADER}")));
    }
    let (header, _) = take(path, &mut reader, length.into())?;
    let header = String::from_utf8_lossy(&header);
    let Some(Header { kind, size, big_endian, transposed, shape }) = Header::parse(&header) else {
        return Err(wrong(format!(
            "has the header {}; an array of plain numbers is read, save it as float32",
            header.trim()
        )));
    };
    // The buffer grows with what is there, never with what the header claims.
    let needed = shape.iter().fold(size as u128, |n, &extent| n.saturating_mul(extent as u128));
    let limit = u64::try_from(needed).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    reader.by_ref().take(limit).read_to_end(&mut bytes).map_err(refused(path))?;
    let extra = io::copy(&mut reader, &mut io::sink()).map_err(refused(path))?;
    let found = bytes.len() as u128 + u128::from(extra);
    if found != needed {
        return Err(wrong(format!("shape {shape:?} needs {needed} bytes, the file holds {found}")));
    }
    let array = Array::new(name.to_owned(), shape, (kind, size), big_endian, &bytes)
        .map_err(|message| Error::file(path, message))?;
    Ok(if transposed { array.transposed() } else { array })
}

/// Longer headers than any array of numbers has.
const MAX_HEADER: u32 = 1 << 16;

/// `count` bytes, and the first four as a word.
fn take(path: &Path, reader: &mut impl Read, count: u64) -> Result<(Vec<u8>, [u8; 4])> {
    let mut bytes = Vec::new();
    reader.take(count).read_to_end(&mut bytes).map_err(refused(path))?;
    if bytes.len() as u64 != count {
        let message = format!("ends after {} of {count} bytes of a header", bytes.len());
        return Err(Error::file(path, message));
    }
    let mut word = [0; 4];
    word.iter_mut().zip(&bytes).for_each(|(to, &byte)| *to = byte);
    Ok((bytes, word))
}

/// What the dictionary at the head of an array says.
#[derive(Debug, PartialEq)]
struct Header {
    kind: char,
    size: usize,
    big_endian: bool,
    transposed: bool,
    shape: Vec<usize>,
}

impl Header {
    /// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }`, in any order.
    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let (_, rest) = text.split_once(&format!("'{key}'"))?;
            rest.trim_start().strip_prefix(':').map(str::trim_start)
        };
        let (descr, _) = value("descr")?.strip_prefix('\'')?.split_once('\'')?;
        let mut letters = descr.chars();
        let order = letters.next().filter(|order| "<>|=".contains(*order))?;
        let kind = letters.next().filter(|kind| "fuib".contains(*kind))?;
        let size = letters.as_str().parse().ok().filter(|size| (1..=8).contains(size))?;
        let fortran = value("fortran_order")?;
        let transposed = fortran.starts_with("True");
        let (shape, _) = value("shape")?.strip_prefix('(')?.split_once(')')?;
        let extents = shape.split(',').map(str::trim).filter(|extent| !extent.is_empty());
        let shape = extents.map(|extent| extent.parse().ok()).collect::<Option<_>>()?;
        let known = transposed || fortran.starts_with("False");
        known.then_some(Self { kind, size, big_endian: order == '>', transposed, shape })
    }
}
