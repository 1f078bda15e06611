//! What this process has begun and not put in its place yet, and what killed processes left so.
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::output;
use crate::{Error, Result};

/// How the names of files and folders begin that are not in their place yet. They end in `-` and a
/// number; those of dead processes may be removed.
pub const TEMPORARY: &str = ".tmp-secateur-";

/// Files and folders in the order in which they were begun.
static BEGUN: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Nothing is begun, finished or given up while it is held.
#[derive(Debug)]
pub struct Held(MutexGuard<'static, Vec<PathBuf>>);

/// Removes what this process has begun and not finished, for a process that is about to end
/// without leaving its functions: files that are being written, and folders that were made for
/// them. No other thread finishes or begins a file before what is returned is dropped.
pub fn discard_unfinished() -> Held {
    let mut held = hold();
    held.0.drain(..).rev().for_each(|path| remove(&path));
    held
}

pub(super) fn hold() -> Held {
    Held(BEGUN.lock().unwrap_or_else(PoisonError::into_inner))
}

impl Held {
    /// Takes note that `path` is finished, or gone.
    pub(super) fn forget(&mut self, path: &Path) {
        self.0.retain(|begun| begun != path);
    }
}

/// A folder that still holds something stays.
fn remove(path: &Path) {
    let removed = fs::remove_file(path);
    if removed.is_err() {
        fs::remove_dir(path).ok();
    }
}

/// Begins a file beside `path`, whose lock says that its process lives.
pub(super) fn begin(path: &Path) -> Result<(PathBuf, File)> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| {
        Error::argument("output", format!("{} is not a file's name", path.display()))
    })?;
    loop {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mut hidden = OsString::from(TEMPORARY);
        hidden.push(name);
        hidden.push(format!("-{}-{number}", std::process::id()));
        let temporary = path.with_file_name(hidden);
        let mut held = hold();
        let file = match File::create_new(&temporary) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => continue,
            Err(e) => return Err(Error::io("create", path)(e)),
        };
        match file.try_lock() {
            // Between the two calls another process may have taken it for one that was left.
            Ok(()) if !temporary.exists() => {}
            Err(TryLockError::WouldBlock) => {}
            // Where files cannot be locked, nobody removes them either.
            Ok(()) | Err(TryLockError::Error(_)) => {
                held.0.push(temporary.clone());
                return Ok((temporary, file));
            }
        }
    }
}

/// Removes files that killed processes were writing in `folder`: those of our names that no living
/// process holds.
pub fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if !is_file || !is_ours(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let path = entry.path();
        let Ok(file) = File::options().read(true).write(true).open(&path) else { continue };
        if file.try_lock().is_ok() && fs::remove_file(&path).is_ok() {
            log::info!("removed {}, which a process that was killed left", path.display());
        }
    }
}

fn is_ours(name: &str) -> bool {
    let Some((_, number)) = name.strip_prefix(TEMPORARY).and_then(|rest| rest.rsplit_once('-'))
    else {
        return false;
    };
    !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}

/// Folders that were made for what is to be in them: once this is dropped, those that nothing was
/// put into are gone again.
#[derive(Debug, Default)]
pub struct MadeFolder {
    /// The outermost first.
    made: Vec<PathBuf>,
}

impl MadeFolder {
    /// Makes the folder at `path` and those that it lies in, as far as they are missing.
    ///
    /// # Errors
    /// [`Error::File`] where something else is there, [`Error::Io`] names the folder.
    pub fn create(path: &Path) -> Result<Self> {
        let mut this = Self::default();
        this.add(path)?;
        Ok(this)
    }

    /// The same of a further folder.
    pub(super) fn add(&mut self, path: &Path) -> Result<()> {
        let mut missing: Vec<&Path> =
            path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.is_dir()).collect();
        while let Some(folder) = missing.pop() {
            let mut held = hold();
            match fs::create_dir(folder) {
                Ok(()) => {
                    held.0.push(folder.to_owned());
                    self.made.push(folder.to_owned());
                }
                Err(e) if e.kind() == ErrorKind::AlreadyExists && folder.is_dir() => {}
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                    let message = format!("is {}; name a folder", output::kind(folder));
                    return Err(Error::file(folder, message));
                }
                Err(e) => return Err(Error::io("create", path)(e)),
            }
        }
        Ok(())
    }

    /// Whether the folder at `path` itself was made, and not there before.
    pub fn made(&self, path: &Path) -> bool {
        self.made.last().is_some_and(|last| last == path)
    }
}

impl Drop for MadeFolder {
    fn drop(&mut self) {
        let mut held = hold();
        for folder in self.made.iter().rev() {
            held.forget(folder);
            fs::remove_dir(folder).ok();
        }
    }
}
