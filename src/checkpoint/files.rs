//! A checkpoint's file of tensors: checksummed while it is written, and durable.
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use super::manifest::{FileEntry, Hashing};
use crate::storage::{Encoding, Tensor, reserve};
use crate::{Error, Result};

const BUFFER: usize = 1 << 16;

/// Writes the file `name` in `folder`, sorted by tensor name, and makes it durable.
pub(super) fn write(folder: &Path, name: &str, tensors: &[Tensor]) -> Result<FileEntry> {
    let encoding = Encoding::new(name, tensors, None)?;
    let path = folder.join(name);
    let file = File::create_new(&path).map_err(Error::io("create", &path))?;
    reserve(&file, encoding.bytes()).map_err(Error::io("reserve room for", &path))?;
    let mut out = BufWriter::with_capacity(BUFFER, Hashing::new(file));
    encoding.write(&mut out).map_err(Error::io("write", &path))?;
    let sink = out.into_inner().map_err(|error| Error::io("write", &path)(error.into_error()))?;
    sink.out.sync_all().map_err(Error::io("sync", &path))?;
    Ok(sink.entry(name))
}
