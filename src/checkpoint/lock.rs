//! One process at a time writes to a logdir.
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::storage::check_output;
use crate::{Error, Result};

const FILE: &str = "LOCK";

/// The right to write to a logdir, held until dropped; the system frees it when the process dies.
///
/// The file `LOCK` stays behind: it is its lock that counts, not its presence.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    file: File,
    /// Whether there was no such file before.
    new: bool,
}

impl Lock {
    /// Takes the lock of `logdir`, without waiting.
    ///
    /// # Errors
    /// [`Error::Locked`] with the holder's process id (`unknown` where the system does not let it
    /// be read), [`Error::File`] where `LOCK` is no plain file, [`Error::Io`] where the file cannot
    /// be created or locked.
    pub fn acquire(logdir: &Path) -> Result<Self> {
        let path = logdir.join(FILE);
        check_output(&path, true)?;
        let new = !path.exists();
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        match file.try_lock() {
            Ok(()) if is_at(&file, &path) => {}
            // Its holder took it away between the two calls.
            Ok(()) => return Self::acquire(logdir),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { logdir: logdir.into(), pid: holder(file) });
            }
            Err(TryLockError::Error(source)) => return Err(Error::io("lock", &path)(source)),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(Error::io("write", &path))?;
        Ok(Self { path, file, new })
    }

    /// Gives the right back, and takes the file `LOCK` away again where this made it.
    pub fn undo(self) {
        // The lock is held meanwhile: a process that opened the file before finds it gone.
        if self.new {
            std::fs::remove_file(&self.path).ok();
        }
        drop(self.file);
    }
}

/// Whether the open file is the one at `path`, and not one that was taken away from there.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let number = |found: std::io::Result<std::fs::Metadata>| found.ok().map(|m| m.ino());
        number(file.metadata()) == number(std::fs::metadata(path))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        path.exists()
    }
}

fn holder(file: File) -> String {
    let mut text = String::new();
    let read = file.take(32).read_to_string(&mut text);
    let pid = text.trim();
    if read.is_err() || pid.is_empty() { "unknown".into() } else { pid.into() }
}
