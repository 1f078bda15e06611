//! Files of data sets, plain or gzipped.
use crate::storage::{FIRST, looks_like};
use crate::{Error, Result};
use flate2::bufread::GzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Opens `path` and decompresses what ends in `.gz`; `None` when there is no such file.
pub(super) fn open(path: &Path) -> Result<Option<Box<dyn Read>>> {
    let file = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io("open", path)(error)),
    };
    let gzipped = path.extension().is_some_and(|extension| extension == "gz");
    Ok(Some(if gzipped { Box::new(Gunzip::new(file)) } else { Box::new(file) }))
}

/// Decompresses gzip: one member or several. Zeros behind the last are padding, as tapes and some
/// servers add it.
struct Gunzip<R: BufRead>(Option<GzDecoder<R>>);

impl<R: BufRead> Gunzip<R> {
    fn new(file: R) -> Self {
        Self(Some(GzDecoder::new(file)))
    }
}

impl<R: BufRead> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.0 {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let Some(member) = self.0.take() else { break };
            let mut rest = member.into_inner();
            loop {
                let padding = rest.fill_buf()?;
                if padding.is_empty() {
                    return Ok(0);
                }
                let zeros = padding.iter().take_while(|&&b| b == 0).count();
                let all = zeros == padding.len();
                rest.consume(zeros);
                if !all {
                    break;
                }
            }
            self.0 = Some(GzDecoder::new(rest));
        }
        Ok(0)
    }
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

/// ` but ...` or ` it is ...`: what a file at `path` looks like that is not what it should be, and
/// the way out. Empty where nobody knows.
pub(super) fn foreign(path: &Path, lead: &str) -> String {
    let mut first = Vec::new();
    let read = File::open(path).and_then(|f| f.take(FIRST as u64).read_to_end(&mut first));
    match looks_like(path, &first).filter(|_| read.is_ok()) {
        Some((what, way)) => format!("{lead}{what}; {way}"),
        None => String::new(),
    }
}

/// Tells bad contents (as the decoder reports them) from a refusal of the operating system.
pub(super) fn refused(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |error| match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
            let message = match foreign(path, " but ") {
                but if but.is_empty() || but.contains("gzip") => {
                    format!("not a whole gzip file: {error}; download it again")
                }
                but => format!("not a whole gzip file{but}"),
            };
            Error::file(path, message)
        }
        _ => Error::io("read", path)(error),
    }
}
