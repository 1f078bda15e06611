//! One process at a time writes to a logdir.
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use crate::storage::check_output;
use crate::{Error, Result};

const FILE: &str = "LOCK";

/// The right to write to a logdir, held until dropped; the system frees it when the process dies.
///
/// The file `LOCK` stays behind: it is its lock that counts, not its presence.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of `logdir`, without waiting.
    ///
    /// # Errors
    /// [`Error::Locked`] with the holder's process id (`unknown` where the system does not let it
    /// be read), [`Error::File`] where `LOCK` is no plain file, [`Error::Io`] where the file cannot be created or locked.
    pub fn acquire(logdir: &Path) -> Result<Self> {
        let path = logdir.join(FILE);
        check_output(&path, true)?;
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Locked { logdir: logdir.into(), pid: holder(file) });
            }
            Err(TryLockError::Error(source)) => return Err(Error::io("lock", path)(source)),
        }
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(Error::io("write", path))?;
        Ok(Self { _file: file })
    }
}

fn holder(file: File) -> String {
    let mut text = String::new();
    let read = file.take(32).read_to_string(&mut text);
    let pid = text.trim();
    if read.is_err() || pid.is_empty() { "unknown".into() } else { pid.into() }
}
