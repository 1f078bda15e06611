//! A file that is there whole, or not at all.
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// A file being written beside its place; dropped, it leaves nothing.
#[derive(Debug)]
pub(super) struct Output {
    path: PathBuf,
    temporary: PathBuf,
    writer: Option<BufWriter<File>>,
}

impl Output {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let name = path.file_name().ok_or_else(|| {
            Error::argument("output", format!("{} is not a file's name", path.display()))
        })?;
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", std::process::id()));
        let temporary = path.with_file_name(hidden);
        let file = File::create(&temporary).map_err(Error::io("create", &temporary))?;
        let writer = Some(BufWriter::with_capacity(1 << 20, file));
        Ok(Self { path: path.to_owned(), temporary, writer })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let writer = self.writer.as_mut().expect("open until it is finished");
        writer.write_all(bytes).map_err(Error::io("write", &self.temporary))
    }

    /// Puts it in its place, on the disk.
    pub(super) fn finish(mut self) -> Result<()> {
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

impl Drop for Output {
    fn drop(&mut self) {
        // After `finish` there is no such file.
        drop(self.writer.take());
        std::fs::remove_file(&self.temporary).ok();
    }
}
