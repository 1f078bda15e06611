//! Numbers in a file in place of memory.
use std::fs::File;
use std::path::{Path, PathBuf};

use super::positioned::{read_at, write_at};
use super::reserve::reserve;
use super::unfinished::{begin, hold, sweep};
use crate::{Error, Result};

/// f32 in a file that nobody else reads, and that is gone with this, with the process, or, after a
/// process that was killed, with the next one that has such a file in the same folder.
#[derive(Debug)]
pub(crate) struct Spill {
    file: File,
    path: PathBuf,
}

impl Spill {
    /// `len` numbers, all of them 0, in a file in `folder`.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder is not there, or has no room for them.
    pub(crate) fn create(folder: &Path, len: u64) -> Result<Self> {
        sweep(folder);
        let (path, file) = begin(&folder.join("activations"))?;
        let this = Self { file, path };
        let bytes = len * size_of::<f32>() as u64;
        let room = reserve(&this.file, bytes).and_then(|()| this.file.set_len(bytes));
        room.map_err(Error::io("reserve room for", &this.path))?;
        Ok(this)
    }

    /// The folder that the file is in.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// The numbers from `first` on.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub(crate) fn read(&self, first: u64, values: &mut [f32]) -> Result<()> {
        let bytes = bytemuck::cast_slice_mut(values);
        let offset = first * size_of::<f32>() as u64;
        read_at(&self.file, bytes, offset).map_err(Error::io("read", &self.path))
    }

    /// Writes the numbers from `first` on.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub(crate) fn write(&self, first: u64, values: &[f32]) -> Result<()> {
        let offset = first * size_of::<f32>() as u64;
        let written = write_at(&self.file, bytemuck::cast_slice(values), offset);
        written.map_err(Error::io("write", &self.path))
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        let mut held = hold();
        held.forget(&self.path);
        std::fs::remove_file(&self.path).ok();
    }
}
