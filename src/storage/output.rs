//! What a file may be written in place of.
use std::fs::{self, FileType};
use std::path::Path;

use crate::{Error, Result};

/// That a file may be written at `path`: nothing is there, or, with `force`, a plain file.
///
/// # Errors
/// [`Error::File`] says what else is there: a folder, a symbolic link, a pipe, a device;
/// [`Error::Argument`] where a file is there without `force`.
pub fn check_output(path: &Path, force: bool) -> Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.is_file() {
        let way = match fs::read_link(path) {
            Ok(target) => format!("name {} itself, or remove the link", target.display()),
            Err(_) if found.is_dir() => "name a file in it".to_owned(),
            Err(_) => "name a plain file, and copy it from there".to_owned(),
        };
        let message = format!("is {}, which a file would replace; {way}", kind(path));
        return Err(Error::file(path, message));
    }
    if !force {
        let message =
            format!("{} is there already; choose another name, or --force", path.display());
        return Err(Error::argument("output", message));
    }
    Ok(())
}

/// The same of the file `name` in the folder `output`, whose parts may be folders in that.
///
/// # Errors
/// As [`check_output`]; of [`check_folder`] for these.
pub(super) fn check_within(output: &Path, name: &Path, force: bool) -> Result<()> {
    let folders = name.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
    folders.into_iter().try_for_each(|folder| check_folder(&output.join(folder)))?;
    check_output(&output.join(name), force)
}

/// The same of `path` as the output of what is read from `source`: it must not be that file.
///
/// # Errors
/// As [`check_output`]; [`Error::Argument`] where it is.
pub(crate) fn check_apart(source: &Path, path: &Path, force: bool) -> Result<()> {
    let real = |path: &Path| fs::canonicalize(path).ok();
    if real(path).is_some_and(|path| Some(path) == real(source)) {
        let message = format!("{} is the input; write to another file", path.display());
        return Err(Error::argument("output", message));
    }
    check_output(path, force)
}

/// That `path` may be a folder's name, which the output of `input` needs.
///
/// # Errors
/// [`Error::Argument`] for one that looks like a file's.
pub(crate) fn check_is_folder(path: &Path, input: &str) -> Result<()> {
    if path.extension().is_some_and(|e| e == "safetensors") {
        let message = format!("{} would be a folder, since the input is {input}", path.display());
        return Err(Error::argument("output", format!("{message}; name one, like pruned/")));
    }
    Ok(())
}

/// That a folder may be put at `path` in place of what is there: nothing, or a folder.
///
/// # Errors
/// [`Error::File`] says what else is there.
pub fn check_folder(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_dir() => {
            let message = format!("is {}, which a folder would replace", kind(path));
            Err(Error::file(path, format!("{message}; move it away")))
        }
        _ => Ok(()),
    }
}

/// What is at `path`, as a noun.
pub(super) fn kind(path: &Path) -> String {
    let Ok(found) = fs::symlink_metadata(path) else { return "missing".to_owned() };
    if let Ok(target) = fs::read_link(path) {
        return format!("a symbolic link to {}", target.display());
    }
    noun(found.file_type()).to_owned()
}

/// What is not a link, as a noun.
pub(super) fn noun(kind: FileType) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_block_device() || kind.is_char_device() {
            return "a device";
        }
    }
    if kind.is_dir() { "a folder" } else { "a file" }
}
