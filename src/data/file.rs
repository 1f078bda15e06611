//! Files of data sets, plain or gzipped.
use crate::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Opens `path` and decompresses what ends in `.gz`; `None` when there is no such file.
pub(super) fn open(path: &Path) -> Result<Option<Box<dyn Read>>> {
    let file = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", path)(error)),
    };
    let gzipped = path.extension().is_some_and(|extension| extension == "gz");
    Ok(Some(if gzipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) }))
}

/// Opens `name` in `dir`, or else `name.gz`; `None` when neither is there.
pub(super) fn find(dir: &Path, name: &str) -> Result<Option<(PathBuf, Box<dyn Read>)>> {
    for path in [dir.join(name), dir.join(format!("{name}.gz"))] {
        if let Some(reader) = open(&path)? {
            return Ok(Some((path, reader)));
        }
    }
    Ok(None)
}

/// Tells bad contents (as the decoder reports them) from a refusal of the operating system.
pub(super) fn refused(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |error| match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
            Error::file(path, format!("not a whole gzip file: {error}; download it again"))
        }
        _ => Error::io("read", path)(error),
    }
}
