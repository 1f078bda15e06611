//! Weights as people have them: a file, several with an index, or a folder with either.
use std::path::{Path, PathBuf};

use super::{Header, Index};
use crate::{Error, Result};

/// The files that hold a model's weights.
#[derive(Debug)]
#[non_exhaustive]
pub struct Weights {
    /// What says which tensor is in which file, where there are several.
    pub index: Option<Index>,
    /// The files, in the order of their names.
    pub files: Vec<Header>,
}

impl Weights {
    /// Opens the safetensors file or the index (`*.json`) at `path`, or what lies in the folder
    /// there: `model.safetensors`, the one index, or the one safetensors file.
    ///
    /// # Errors
    /// Those of [`Header::open`], [`Index::read`] and [`Index::open`]; [`Error::File`] for a folder
    /// that holds none, or several of which none is called `model.safetensors`.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Self::open(&in_folder(path)?);
        }
        if path.extension().is_some_and(|e| e == "json") {
            let index = Index::read(path)?;
            let files = index.open()?;
            return Ok(Self { index: Some(index), files });
        }
        Ok(Self { index: None, files: vec![Header::open(path)?] })
    }
}

/// The file or the index of the weights in `folder`.
fn in_folder(folder: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder).map_err(Error::io("list", folder))?;
    let mut names: Vec<String> =
        entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.retain(|name| !name.starts_with('.'));
    let ending = |end: &str| names.iter().filter(|n| n.ends_with(end)).collect::<Vec<_>>();
    let (files, indices) = (ending(".safetensors"), ending(".safetensors.index.json"));
    if let Some(whole) = files.iter().find(|name| *name == &"model.safetensors") {
        if let Some(index) = indices.first() {
            log::warn!(
                "{}: takes {whole}, not {index}; name the other to take it",
                folder.display()
            );
        }
        return Ok(folder.join(whole));
    }
    match (&*indices, &*files) {
        ([one], _) | ([], [one]) => Ok(folder.join(one)),
        ([], []) => {
            let some = names.iter().take(8).map(String::as_str).collect::<Vec<_>>().join(", ");
            let more = if names.len() > 8 { ", ..." } else { "" };
            let holds = if names.is_empty() {
                "is empty".to_owned()
            } else {
                format!("holds {some}{more}")
            };
            let message =
                format!("holds no checkpoint (ckpt-*) and no safetensors file: it {holds}");
            Err(Error::file(folder, format!("{message}; save the weights as safetensors")))
        }
        ([], several) | (several, _) => {
            let listed = several.iter().map(|n| n.as_str()).collect::<Vec<_>>().join(", ");
            Err(Error::file(folder, format!("holds {listed}; name one of them")))
        }
    }
}
