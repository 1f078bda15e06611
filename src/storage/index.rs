//! The index of weights that lie in several files: which tensor is in which.
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::foreign::{FIRST, looks_like};
use super::input::open_plain;
use super::{Header, MAX_HEADER};
use crate::{Error, Result};

/// How many names an error lists of each kind.
const LISTED: usize = 5;

/// `model.safetensors.index.json`, as far as it is read.
#[derive(Debug)]
pub struct Index {
    /// The index.
    pub path: PathBuf,
    /// Its content, for a copy.
    pub bytes: Vec<u8>,
    /// The file of each tensor.
    weight_map: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Json {
    weight_map: BTreeMap<String, String>,
}

impl Index {
    /// Reads the index at `path`.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::File`] for what is no index, and for one that names files which do
    /// not lie beside it: it must not reach others.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |message: String| Error::file(path, message);
        let file = open_plain(path)?;
        let mut bytes = Vec::new();
        file.take(MAX_HEADER + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
        if bytes.len() as u64 > MAX_HEADER {
            return Err(wrong(format!("has over {MAX_HEADER} bytes, too many for an index")));
        }
        let Json { weight_map } = serde_json::from_slice(&bytes).map_err(|e| {
            let first = &bytes[..bytes.len().min(FIRST)];
            match looks_like(path, first).filter(|(what, _)| !what.starts_with("JSON")) {
                Some((what, way)) => wrong(format!("is no index of weights but {what}; {way}")),
                None => wrong(format!(
                    "is no index of weights: {e}; name a safetensors file, or *.index.json"
                )),
            }
        })?;
        if weight_map.is_empty() {
            return Err(wrong("names no tensor; name the safetensors files themselves".to_owned()));
        }
        let this = Self { path: path.to_owned(), bytes, weight_map };
        for name in this.files() {
            // A backslash parts folders on some systems only; no name needs one.
            let plain = Path::new(name).file_name().is_some_and(|n| n == name);
            if !plain || name.contains(['/', '\\']) {
                return Err(wrong(format!("names {name}, which is not beside it")));
            }
        }
        Ok(this)
    }

    /// Names of the files, in their order.
    pub fn files(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }

    /// Opens the files, in the order of their names, and compares the tensors in them with those
    /// that the index names.
    ///
    /// # Errors
    /// Those of [`Header::open`]; [`Error::File`] names tensors that are missing, that the index
    /// leaves out, that are in another file than it says, or that are in two files.
    pub fn open(&self) -> Result<Vec<Header>> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let open = |name: &str| {
            let path = folder.join(name);
            if !path.exists() {
                let message = format!("names {name}, which is missing; download it as well");
                return Err(Error::file(&self.path, message));
            }
            Header::open(&path)
        };
        let names = self.files();
        let headers = names.iter().map(|name| open(name)).collect::<Result<Vec<_>>>()?;
        let mut found: BTreeMap<&str, &str> = BTreeMap::new();
        for (file, header) in names.iter().zip(&headers) {
            for tensor in &header.tensors {
                if let Some(other) = found.insert(&tensor.name, file) {
                    let message = format!("{} is in {other} and in {file}", tensor.name);
                    let message = format!("{message}; leave it in one of them");
                    return Err(Error::file(&self.path, message));
                }
            }
        }
        self.compare(&found)?;
        Ok(headers)
    }

    /// That the tensors in `found`, each with its file, are those of the index.
    fn compare(&self, found: &BTreeMap<&str, &str>) -> Result<()> {
        let (mut missing, mut elsewhere) = (Vec::new(), Vec::new());
        for (name, file) in &self.weight_map {
            match found.get(name.as_str()) {
                None => missing.push(name.clone()),
                Some(other) if other != file => {
                    elsewhere.push(format!("{name} ({file} there, found in {other})"));
                }
                Some(_) => {}
            }
        }
        let unnamed = found.iter().filter(|(name, _)| !self.weight_map.contains_key(**name));
        let additional: Vec<_> = unnamed.map(|(name, file)| format!("{name} ({file})")).collect();
        let wrong: Vec<String> = [
            ("missing in the files", missing),
            ("in the files but not in the index", additional),
            ("in another file than the index says", elsewhere),
        ]
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| {
            let more = if names.len() > LISTED { ", ..." } else { "" };
            let some = names[..names.len().min(LISTED)].join(", ");
            format!("{} {what}: {some}{more}", names.len())
        })
        .collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let message = format!("does not fit its files: {}", wrong.join("; "));
        Err(Error::file(&self.path, format!("{message}; take index and files of one version")))
    }
}
