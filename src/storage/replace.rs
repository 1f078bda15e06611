//! The one place that writes a file beside its place and renames it.
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// How the names of files and folders begin that are not in their place yet: those of dead
/// processes may be removed.
pub const TEMPORARY: &str = ".tmp-";

/// Writes `bytes` as the file at `path`, whole or not at all, in place of what is there.
///
/// # Errors
/// [`Error::Io`] names the file; then what was at `path` is as it was.
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
}

impl Replace {
    /// Begins the file that is to be at `path`.
    ///
    /// # Errors
    /// [`Error::Argument`] where `path` is no file's name; [`Error::Io`] names the file.
    pub fn create(path: &Path) -> Result<Self> {
        let name = path.file_name().ok_or_else(|| {
            Error::argument("output", format!("{} is not a file's name", path.display()))
        })?;
        let mut hidden = std::ffi::OsString::from(TEMPORARY);
        hidden.push(name);
        hidden.push(format!("-{}", std::process::id()));
        let temporary = path.with_file_name(hidden);
        let file = File::create(&temporary).map_err(Error::io("create", &temporary))?;
        let writer = Some(BufWriter::with_capacity(1 << 20, file));
        Ok(Self { path: path.to_owned(), temporary, writer })
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// [`Error::Io`] names the file.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let writer = self.writer.as_mut().expect("open until it is finished");
        writer.write_all(bytes).map_err(Error::io("write", &self.temporary))
    }

    /// Puts it in its place, on the disk.
    ///
    /// # Errors
    /// [`Error::Io`] names the file.
    pub fn finish(mut self) -> Result<()> {
        let writer = self.writer.take().expect("open until it is finished");
        let file =
            writer.into_inner().map_err(|e| Error::io("write", &self.temporary)(e.into_error()))?;
        file.sync_all().map_err(Error::io("sync", &self.temporary))?;
        std::fs::rename(&self.temporary, &self.path).map_err(Error::io("rename", &self.path))?;
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty());
        // Where folders cannot be synced, as on Windows, the rename is as durable as it gets.
        if let Ok(folder) = File::open(folder.unwrap_or(Path::new("."))) {
            folder.sync_all().ok();
        }
        Ok(())
    }
}

impl Drop for Replace {
    fn drop(&mut self) {
        // After `finish` there is no such file.
        drop(self.writer.take());
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
