//! Floor 7: checkpoints: folders written whole or not at all, and read back only when every byte is
//! right.
//!
//! `ckpt-<step, 12 digits>/` holds `model.safetensors`, `optimizer.safetensors` and
//! `manifest.json`. All functions here expect that the caller holds the logdir's [`Lock`], or only
//! reads.
use std::fs;
use std::path::{Path, PathBuf};

mod files;
mod lock;
mod manifest;
mod retention;
mod travel;

pub use lock::Lock;
pub use manifest::{FileEntry, MANIFEST_FILE, Manifest};
pub use retention::Retention;

use crate::storage::{self, TEMPORARY, Tensor, check_folder, read_tensors};
use crate::{Error, Result};

/// File name of the effective weights within a checkpoint.
pub const MODEL_FILE: &str = "model.safetensors";
/// File name of slots, packed masks, thresholds and raw values within a checkpoint.
pub const OPTIMIZER_FILE: &str = "optimizer.safetensors";

const DIGITS: usize = 12;
const CHECKPOINT: &str = "ckpt-";
const TRASH: &str = ".trash-";

/// A checkpoint read from disk.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Checkpoint {
    /// Its folder.
    pub path: PathBuf,
    /// The run's state besides tensors.
    pub manifest: Manifest,
    /// Effective weights, sorted by name.
    pub model: Vec<Tensor>,
    /// Slots, packed masks, thresholds and raw values, sorted by name.
    pub optimizer: Vec<Tensor>,
    /// Newer checkpoints that [`newest`] could not trust, each as `ckpt-...: reason`.
    pub skipped: Vec<String>,
}

/// Writes the checkpoint of `manifest.global_step` into `logdir` and returns its folder.
///
/// `format`, `version` and `files` of the manifest are filled in here, and `created_unix` where it
/// is 0. A valid checkpoint of the same step stays as it is; a damaged one is replaced. Afterwards
/// `retention` decides which of this and the earlier steps remain; one that cannot be removed is
/// tried again at the next save.
///
/// # Errors
/// [`Error::Argument`] for a step of more than 12 digits or a tensor name that is reserved or given
/// twice, [`Error::Shape`] for a tensor whose shape and data disagree, [`Error::Io`] otherwise.
/// After an error no temporary folder is left and older checkpoints are as they were.
pub fn save(
    logdir: &Path,
    manifest: Manifest,
    model: &[Tensor],
    optimizer: &[Tensor],
    retention: Retention,
) -> Result<PathBuf> {
    let (step, begun) = (manifest.global_step, manifest.begun_unix);
    let name = format!("{CHECKPOINT}{step:0DIGITS$}");
    if name.len() > CHECKPOINT.len() + DIGITS {
        let message =
            format!("{step} has more than {DIGITS} digits; restart the count in a new run");
        return Err(Error::argument("global_step", message));
    }
    let path = logdir.join(&name);
    if verify(&path).is_ok_and(|found| found.global_step == step) {
        return Ok(path);
    }
    check_folder(&path)?;

    let temp = logdir.join(format!("{TEMPORARY}{name}-{}", std::process::id()));
    // Only the holder of the lock writes, so a folder of this name is a dead process's.
    remove(&temp).ok();
    let written = write(&temp, manifest, model, optimizer).and_then(|()| {
        if path.exists() {
            discard(&path)?;
        }
        fs::rename(&temp, &path).map_err(Error::io("rename", &temp))
    });
    if written.is_err() {
        remove(&temp).ok();
    }
    written?;
    sync_folder(logdir)?;

    // Later steps are leftovers that could not be trusted: neither counted nor removed.
    let mut present = list(logdir)?;
    present.retain(|(other, _)| *other <= step);
    // A time that cannot be read is 0, in the stretch that keeps none.
    let created = |path: &Path| match retention.keep_every_n_hours {
        Some(_) => manifest::read(path).map_or(0, |found| found.created_unix),
        None => 0,
    };
    let times: Vec<_> = present.iter().map(|(step, path)| (*step, created(path))).collect();
    let outdated = retention.outdated(begun, &times);
    for (_, path) in present.iter().filter(|(step, _)| outdated.contains(step)) {
        discard(path).ok();
    }
    Ok(path)
}

/// Reads the newest checkpoint of `logdir` that is valid in every byte, or `None` where there is
/// none.
///
/// # Errors
/// [`Error::NoValidCheckpoint`] where checkpoints are present but all damaged, [`Error::Io`] where
/// `logdir` cannot be listed.
pub fn newest(logdir: &Path) -> Result<Option<Checkpoint>> {
    let mut skipped = Vec::new();
    for (step, path) in list(logdir)? {
        let error = match load(&path) {
            Ok(found) if found.manifest.global_step == step => {
                return Ok(Some(Checkpoint { skipped, ..found }));
            }
            Ok(found) => {
                let message = format!("holds global step {}", found.manifest.global_step);
                Error::file(&path, message)
            }
            Err(error) => error,
        };
        skipped.push(format!("{}: {}", name_of(&path), reason(&error)));
    }
    if skipped.is_empty() {
        return Ok(None);
    }
    Err(Error::NoValidCheckpoint { logdir: logdir.into(), skipped: skipped.join("; ") })
}

/// What the checkpoint at `path`, or the newest one of the logdir `path` with a readable manifest,
/// says of itself, its tensors unread; `None` where there is none.
///
/// # Errors
/// [`Error::Io`] where `path` cannot be listed.
pub fn newest_manifest(path: &Path) -> Result<Option<Manifest>> {
    if path.join(MANIFEST_FILE).is_file() {
        return Ok(manifest::read(path).ok());
    }
    Ok(newest_folder(path)?.map(|(_, manifest)| manifest))
}

/// The folder of the newest checkpoint of `logdir` with a readable manifest, with that.
///
/// # Errors
/// [`Error::Io`] where `logdir` cannot be listed.
pub fn newest_folder(logdir: &Path) -> Result<Option<(PathBuf, Manifest)>> {
    let readable = |(_, path): (u64, PathBuf)| manifest::read(&path).ok().map(|m| (path, m));
    Ok(list(logdir)?.into_iter().find_map(readable))
}

/// Reads the checkpoint in the folder `path`, whatever its name.
///
/// Sizes and checksums of all files are checked before a tensor is allocated.
///
/// # Errors
/// [`Error::File`] naming the file that is damaged, [`Error::Io`] where one is missing or
/// unreadable.
pub fn load(path: &Path) -> Result<Checkpoint> {
    let manifest = verify(path)?;
    let model = read_tensors(&path.join(MODEL_FILE))?;
    let optimizer = read_tensors(&path.join(OPTIMIZER_FILE))?;
    Ok(Checkpoint { path: path.into(), manifest, model, optimizer, skipped: Vec::new() })
}

/// Reads the checkpoint at `path`, or the newest valid one of the logdir `path`; says in the log
/// which newer ones it skipped.
///
/// # Errors
/// As [`load`] and [`newest`]; [`Error::File`] where there is none.
pub fn find(path: &Path) -> Result<Checkpoint> {
    if name_of(path).starts_with(CHECKPOINT) {
        return load(path);
    }
    let found = newest(path)?
        .ok_or_else(|| Error::file(path, format!("holds no checkpoint ({CHECKPOINT}*)")))?;
    for skipped in &found.skipped {
        log::warn!("skipped {skipped}");
    }
    Ok(found)
}

/// Whether the folder at `path` is a checkpoint, or holds some.
pub fn is_in(path: &Path) -> bool {
    path.join(MANIFEST_FILE).is_file() || list(path).is_ok_and(|found| !found.is_empty())
}

/// Removes what killed processes left half written or half removed in `logdir`.
///
/// # Errors
/// [`Error::Io`] where `logdir` cannot be listed or a leftover cannot be removed.
pub fn sweep(logdir: &Path) -> Result<()> {
    storage::sweep(logdir);
    for path in entries(logdir)? {
        let name = name_of(&path);
        // What is written beside a file may be another process's, an export's into this folder.
        let folder = name.starts_with(TEMPORARY) && path.is_dir();
        if folder || name.starts_with(TRASH) {
            remove(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

fn write(
    folder: &Path,
    mut manifest: Manifest,
    model: &[Tensor],
    optimizer: &[Tensor],
) -> Result<()> {
    fs::create_dir(folder).map_err(Error::io("create", folder))?;
    manifest.files = vec![
        files::write(folder, MODEL_FILE, model)?,
        files::write(folder, OPTIMIZER_FILE, optimizer)?,
    ];
    manifest::write(folder, manifest)?;
    sync_folder(folder)
}

/// The manifest of a checkpoint, once all files have the sizes and checksums that it names.
fn verify(folder: &Path) -> Result<Manifest> {
    let manifest = manifest::read(folder)?;
    for name in [MODEL_FILE, OPTIMIZER_FILE] {
        manifest.entry(folder, name)?.verify(folder)?;
    }
    Ok(manifest)
}

/// All checkpoint folders with their steps, newest first.
fn list(logdir: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let step = |path: &Path| {
        let digits = path.file_name()?.to_str()?.strip_prefix(CHECKPOINT)?;
        let plain = digits.len() == DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok())?
    };
    let mut found: Vec<_> =
        entries(logdir)?.into_iter().filter_map(|path| Some((step(&path)?, path))).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .map_err(Error::io("list", folder))
}

/// Takes a checkpoint out of sight in one step, then deletes it; [`sweep`] finishes a broken
/// delete.
fn discard(path: &Path) -> Result<()> {
    let trash = path.with_file_name(format!("{TRASH}{}-{}", name_of(path), std::process::id()));
    remove(&trash).ok();
    fs::rename(path, &trash).map_err(Error::io("rename", path))?;
    remove(&trash).ok();
    Ok(())
}

fn remove(path: &Path) -> std::io::Result<()> {
    if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// Makes the names in a folder durable. Windows cannot open a folder for this, and needs it less.
fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(windows) {
        return Ok(());
    }
    fs::File::open(folder).and_then(|file| file.sync_all()).map_err(Error::io("sync", folder))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The error without the folders of its path, which the reader of a skip list knows.
fn reason(error: &Error) -> String {
    match error {
        Error::File { path, message } => format!("{}: {message}", name_of(path)),
        Error::Io { action, path, source } => {
            format!("cannot {action} {}: {source}", name_of(path))
        }
        other => other.to_string(),
    }
}
