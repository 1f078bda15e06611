//! Where an output folder is while it is unfinished, and how it comes to its place.
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use super::job::JOURNAL;
use super::output::{check_folder, check_within};
use super::replace::sync_folder;
use crate::{Error, Result};

/// What a folder's name ends in while it is unfinished.
const UNFINISHED: &str = ".unfinished";
/// The file without which nobody loads a folder: the last to come, the first to go.
pub(super) const CONFIG: &str = "config.json";

/// The two places of an output folder.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Where it is to be.
    pub(super) output: PathBuf,
    /// Where it is until then: beside it, so that a rename takes it over.
    pub(super) unfinished: PathBuf,
}

impl Place {
    /// # Errors
    /// [`Error::File`] where something else than a folder is there, or another file system;
    /// [`Error::Argument`] where it is no folder's name.
    pub(super) fn of(output: &Path) -> Result<Self> {
        let output = match output.is_dir() {
            true => fs::canonicalize(output).map_err(Error::io("find", output))?,
            false => check_folder(output).map(|()| output.to_owned())?,
        };
        let Some(name) = output.file_name() else {
            let message = format!("{} is not a folder's name", output.display());
            return Err(Error::argument("output", message));
        };
        if is_mounted(&output) {
            let message = "is where another file system begins; name a folder in it";
            return Err(Error::file(output, message));
        }
        let mut name = OsString::from(name);
        name.push(UNFINISHED);
        let unfinished = output.with_file_name(name);
        Ok(Self { output, unfinished })
    }

    /// The paths, in the unfinished folder, of the files that go to their places, in their order.
    fn names(&self) -> Result<Vec<PathBuf>> {
        let mut names = Vec::new();
        list(&self.unfinished, Path::new(""), &mut names)?;
        names.retain(|name| !name.to_string_lossy().starts_with(JOURNAL));
        names.sort_by_key(|name| (name == Path::new(CONFIG), name.clone()));
        Ok(names)
    }

    /// That the files may be put in their places.
    ///
    /// # Errors
    /// Of [`check_within`].
    pub(super) fn check(&self, force: bool) -> Result<()> {
        self.names()?.iter().try_for_each(|name| check_within(&self.output, name, force))
    }

    /// Puts what is in the unfinished folder in its place: the folder at once where there is none,
    /// else file by file. What was begun so is continued so.
    ///
    /// # Errors
    /// [`Error::Io`]
    pub(super) fn settle(&self) -> Result<()> {
        let Self { output, unfinished } = self;
        if !output.exists() {
            fs::rename(unfinished, output).map_err(Error::io("rename", unfinished))?;
            output.parent().into_iter().for_each(sync_folder);
        }
        if unfinished.exists() {
            let names = self.names()?;
            let config = output.join(CONFIG);
            if names.len() > 1 && names.contains(&PathBuf::from(CONFIG)) && config.exists() {
                fs::remove_file(&config).map_err(Error::io("remove", &config))?;
            }
            for name in names {
                let (from, to) = (unfinished.join(&name), output.join(&name));
                let folder = to.parent().filter(|folder| *folder != output);
                folder.map_or(Ok(()), fs::create_dir_all).map_err(Error::io("create", &to))?;
                fs::rename(&from, &to).map_err(Error::io("rename", &from))?;
                folder.into_iter().for_each(sync_folder);
            }
            sync_folder(output);
            fs::remove_dir_all(unfinished).map_err(Error::io("remove", unfinished))?;
        }
        let entries = fs::read_dir(output).map_err(Error::io("list", output))?;
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(JOURNAL) {
                let path = entry.path();
                fs::remove_file(&path).map_err(Error::io("remove", path))?;
            }
        }
        sync_folder(output);
        Ok(())
    }
}

/// Appends the paths of all files in `folder`, behind `within`.
fn list(folder: &Path, within: &Path, names: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(Error::io("list", folder))?;
    for entry in entries.flatten() {
        let name = within.join(entry.file_name());
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => list(&entry.path(), &name, names)?,
            false => names.push(name),
        }
    }
    Ok(())
}

/// Whether the folder is on another file system than the one that it is in.
fn is_mounted(folder: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let device = |path: &Path| fs::metadata(path).ok().map(|found| found.dev());
        let beside = folder.parent().and_then(device);
        device(folder).zip(beside).is_some_and(|(here, there)| here != there)
    }
    #[cfg(not(unix))]
    {
        let _ = folder;
        false
    }
}
