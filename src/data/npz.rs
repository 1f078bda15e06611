//! Archives of NumPy's arrays.
use super::arrays::{self, ANSWERS, FEATURES};
use super::{Dataset, OpenOptions, Schema, npy};
use crate::{Error, Result};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use zip::ZipArchive;

/// All rows of an archive: the array `features` or `x`, with the answers that `options` names, or
/// else `labels`, `y` or `targets`.
pub(super) fn rows(path: &Path, options: &OpenOptions, schema: Option<&Schema>) -> Result<Dataset> {
    let file = BufReader::new(File::open(path).map_err(Error::io("open", path))?);
    let broken = |error: zip::result::ZipError| {
        Error::file(path, format!("no whole archive of NumPy: {error}; save it by numpy.savez"))
    };
    let mut archive = ZipArchive::new(file).map_err(broken)?;
    let names: Vec<String> = archive
        .file_names()
        .filter_map(|name| name.ok()?.strip_suffix(".npy").map(str::to_owned))
        .collect();
    let has = |name: &str| names.iter().any(|other| other == name);
    let missing = |wanted: &str| {
        let message = format!("has no array {wanted}; it has {}", names.join(", "));
        Error::file(path, message)
    };
    let features = FEATURES.iter().find(|name| has(name));
    let features = features.ok_or_else(|| missing(&FEATURES.join(" or ")))?;
    let answers = arrays::answers_of(options, has)?;
    if answers.is_none() && options.multi_label {
        return Err(missing(&ANSWERS.join(" or ")));
    }
    let mut read = |name: &str| {
        let entry = archive.by_name(&format!("{name}.npy")).map_err(broken)?;
        npy::read(path, name, entry)
    };
    let features = read(features)?;
    let answers = match answers {
        Some(name) if has(&name) => Some(read(&name)?),
        // Rows to predict need none.
        Some(_) if schema.is_some() => None,
        Some(name) => return Err(missing(&format!("`{name}`"))),
        None => None,
    };
    arrays::dataset(path, features, answers, options, schema)
}
