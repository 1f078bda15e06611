//! What may be read as a file of weights.
use std::fs::{self, File};
use std::path::Path;

use super::output::noun;
use crate::{Error, Result};

/// Opens the plain file at `path`, or that a link there leads to. Nothing else is opened: a pipe
/// would be waited for until somebody writes into it, and cannot be read from an offset.
///
/// # Errors
/// [`Error::Io`]; [`Error::File`] says what else is there.
pub(crate) fn open_plain(path: &Path) -> Result<File> {
    let found = fs::metadata(path).map_err(Error::io("open", path))?;
    if found.is_dir() {
        return Err(Error::file(path, "is a folder; name a safetensors file in it"));
    }
    if !found.is_file() {
        let kind = noun(found.file_type());
        let message = format!("is {kind}; copy what it gives into a plain file, and name that");
        return Err(Error::file(path, message));
    }
    File::open(path).map_err(Error::io("open", path))
}
