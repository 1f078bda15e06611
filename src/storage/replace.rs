//! The one place that writes a file beside its place and renames it.
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::output::check_output;
use super::positioned::write_at;
use super::reserve::reserve;
use super::unfinished::{MadeFolder, begin, hold, sweep};
use crate::{Error, Result};

/// Writes `bytes` as the file at `path`, whole or not at all, in place of what is there.
///
/// # Errors
/// As [`Replace::create`] and [`Replace::finish`]; then what was at `path` is as it was.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = Replace::create(path)?;
    file.write(bytes)?;
    file.finish()
}

/// A file being written beside its place; dropped, it leaves nothing.
#[derive(Debug)]
pub struct Replace {
    path: PathBuf,
    temporary: PathBuf,
    writer: Option<BufWriter<File>>,
    /// Folders that were made for it and others; gone with the last of these.
    _made: Option<Arc<MadeFolder>>,
}

impl Replace {
    /// Begins the file that is to be at `path`. What killed processes left beside it goes.
    ///
    /// # Errors
    /// [`Error::Argument`] where `path` is no file's name; [`Error::File`] where something is there
    /// that is no plain file ([`check_output`]); [`Error::Io`] names the file.
    pub fn create(path: &Path) -> Result<Self> {
        check_output(path, true)?;
        sweep(folder_of(path));
        let (temporary, file) = begin(path)?;
        let writer = Some(BufWriter::with_capacity(1 << 20, file));
        Ok(Self { path: path.to_owned(), temporary, writer, _made: None })
    }

    /// Keeps the folders that were `made` for it as long as it is not in its place.
    pub(super) fn within(mut self, made: &Arc<MadeFolder>) -> Self {
        self._made = Some(Arc::clone(made));
        self
    }

    /// Takes room for a file of `bytes` bytes, as far as the file system can: no more and no fewer
    /// are to be written.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<()> {
        let writer = self.writer.as_ref().expect("open until it is finished");
        reserve(writer.get_ref(), bytes).map_err(Error::io("reserve room for", &self.path))
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// [`Error::Io`] names the file.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let writer = self.writer.as_mut().expect("open until it is finished");
        writer.write_all(bytes).map_err(Error::io("write", &self.path))
    }

    /// Writes `bytes` from `offset` on, wherever the last ones were appended.
    pub(super) fn write_at(&mut self, bytes: &[u8], offset: u64) -> Result<()> {
        let writer = self.writer.as_mut().expect("open until it is finished");
        // Where writing at a place moves the file's cursor, nothing may be left to append.
        let written = writer.flush().and_then(|()| write_at(writer.get_ref(), bytes, offset));
        written.map_err(Error::io("write", &self.path))
    }

    /// Puts it in its place, on the disk.
    ///
    /// # Errors
    /// [`Error::Io`] names the file.
    pub fn finish(self) -> Result<()> {
        Self::finish_all(vec![self])
    }

    /// Puts all of them in their places, in their order, once each is whole on the disk.
    ///
    /// # Errors
    /// [`Error::Io`] names the file; those before it are in their places.
    pub fn finish_all(mut files: Vec<Self>) -> Result<()> {
        // Open until they are renamed: the lock on a file says that it is being written.
        let mut open = Vec::new();
        for file in &mut files {
            let writer = file.writer.take().expect("open until it is finished");
            let inner = writer.into_inner();
            let inner = inner.map_err(|e| Error::io("write", &file.path)(e.into_error()))?;
            inner.sync_all().map_err(Error::io("sync", &file.path))?;
            open.push(inner);
        }
        let mut held = hold();
        for file in &files {
            std::fs::rename(&file.temporary, &file.path)
                .map_err(Error::io("rename", &file.path))?;
            held.forget(&file.temporary);
            sync_folder(folder_of(&file.path));
        }
        drop(held);
        Ok(())
    }
}

/// Puts on the disk what is called how in the folder. Where folders cannot be synced, as on Windows,
/// a rename is as durable as it gets.
pub(super) fn sync_folder(path: &Path) {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    if let Ok(folder) = File::open(path) {
        folder.sync_all().ok();
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

impl Drop for Replace {
    fn drop(&mut self) {
        // After `finish` there is no such file.
        drop(self.writer.take());
        let mut held = hold();
        held.forget(&self.temporary);
        std::fs::remove_file(&self.temporary).ok();
    }
}

impl Write for Replace {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.writer.as_mut().expect("open until it is finished").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.as_mut().expect("open until it is finished").flush()
    }
}
