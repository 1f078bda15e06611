//! What a job has done so far, in a file that outlives it: a note is there whole or not at all.
use std::fs::{File, TryLockError};
use std::io::Read;
use std::path::{Path, PathBuf};

use crc32c::crc32c;
use serde::{Deserialize, Serialize};

use super::output::check_output;
use super::positioned::write_at;
use super::reserve::reserve;
use crate::{Error, Result};

/// A line of the journal.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Note {
    /// What the job is. The first line.
    Job(String),
    /// The files are those of the input.
    Copied,
    /// The tensor is about to be written.
    Put(String),
    /// The tensors that were put since the last such note are the block's, and on the disk.
    Done { block: String, remark: String },
    /// The tensors that were put since the last block are the input's again.
    Dropped,
    /// All is written; files may be in their places already.
    Placing,
}

/// The file of the notes, which only one process at a time has.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Where the notes end. What is behind is room, or a note that was cut off.
    end: u64,
}

impl Journal {
    /// Opens the journal at `path`, which may be new; and the notes in it.
    ///
    /// # Errors
    /// [`Error::File`] where another process has it, or something else is there; [`Error::Io`].
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Note>)> {
        check_output(path, true)?;
        let mut options = File::options();
        let options = options.create(true).truncate(false).read(true).write(true);
        let mut file = options.open(path).map_err(Error::io("open", path))?;
        // Where files cannot be locked, nobody else is kept out.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) || !path.exists() {
            let folder = path.parent().unwrap_or(path);
            let message = "another process is at work on it; wait for it, or choose another output";
            return Err(Error::file(folder, message));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(Error::io("read", path))?;
        let (notes, end) = parse(&bytes);
        Ok((Self { path: path.to_owned(), file, end }, notes))
    }

    /// Makes room for notes of `bytes` bytes, as far as the file system can.
    pub(super) fn reserve(&self, bytes: u64) -> Result<()> {
        reserve(&self.file, bytes).map_err(Error::io("reserve room for", &self.path))
    }

    /// Adds a note, which is on the disk afterwards.
    ///
    /// # Errors
    /// [`Error::Io`]; then it is not there.
    pub(super) fn add(&mut self, note: &Note) -> Result<()> {
        let json = serde_json::to_string(note).expect("texts are JSON");
        let line = format!("{:08x} {json}\n", crc32c(json.as_bytes()));
        let written = write_at(&self.file, line.as_bytes(), self.end);
        written.map_err(Error::io("write", &self.path))?;
        self.file.sync_data().map_err(Error::io("sync", &self.path))?;
        self.end += line.len() as u64;
        Ok(())
    }
}

/// The notes up to the first that is not whole, and where they end.
fn parse(bytes: &[u8]) -> (Vec<Note>, u64) {
    let whole = |line: &[u8]| {
        let (sum, json) = line.strip_suffix(b"\n")?.split_at_checked(9)?;
        let right = sum == format!("{:08x} ", crc32c(json)).as_bytes();
        right.then(|| serde_json::from_slice(json).ok())?
    };
    let (mut notes, mut end) = (Vec::new(), 0);
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let Some(note) = whole(line) else { break };
        notes.push(note);
        end += line.len() as u64;
    }
    (notes, end)
}
