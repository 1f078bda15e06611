//! The files that lie beside a model's weights: what its loaders need besides them.
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Replace, check_output};
use crate::{Error, Result};

/// Largest file that is copied along, in bytes: tokenizers have up to some 30 MB.
const LARGEST: u64 = 100_000_000;
/// Endings of weights, in whatever format: a copy of them would not be pruned.
const WEIGHTS: &[&str] = &[
    "safetensors",
    "bin",
    "pt",
    "pth",
    "ckpt",
    "h5",
    "hdf5",
    "keras",
    "msgpack",
    "onnx",
    "onnx_data",
    "gguf",
    "ggml",
    "npz",
    "npy",
    "tflite",
    "ot",
    "pb",
    "pdparams",
    "mlmodel",
    "zip",
    "tar",
    "gz",
];

/// What became of the files beside the weights.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Companions {
    /// Names of the files that were copied to the output's folder.
    pub copied: Vec<String>,
    /// Names of those that were not, each with the reason.
    pub left_out: Vec<String>,
}

impl Companions {
    /// Looks at what is in `folder` besides the files `taken`, for the folder `output`.
    ///
    /// # Errors
    /// [`Error::Io`]; of [`check_output`] for a copy's place.
    pub(crate) fn find(
        folder: &Path,
        taken: &[PathBuf],
        output: &Path,
        force: bool,
    ) -> Result<Self> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let taken: Vec<_> = taken.iter().filter_map(|path| path.file_name()).collect();
        let mut this = Self::default();
        let entries = fs::read_dir(folder).map_err(Error::io("list", folder))?;
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let Some(file) = path.file_name().filter(|name| !taken.contains(name)) else {
                continue;
            };
            let name = file.to_string_lossy().into_owned();
            // Files of model caches are links to where their content lies.
            match fs::metadata(&path).map_or(Some("it cannot be read"), |m| reason(&name, &m)) {
                Some(reason) => this.left_out.push(format!("{name} ({reason})")),
                None => {
                    check_output(&output.join(file), force)?;
                    this.copied.push(name);
                }
            }
        }
        Ok(this)
    }

    /// Begins the copies of the files from `folder` to `output`.
    pub(crate) fn copy(&self, folder: &Path, output: &Path) -> Result<Vec<Replace>> {
        let copy = |name: &String| {
            let source = folder.join(name);
            let mut file = File::open(&source).map_err(Error::io("open", &source))?;
            let mut copy = Replace::create(&output.join(name))?;
            io::copy(&mut file, &mut copy).map_err(Error::io("copy", &source))?;
            Ok(copy)
        };
        self.copied.iter().map(copy).collect()
    }
}

/// Why a file is not copied along, where it is not.
fn reason(name: &str, found: &fs::Metadata) -> Option<&'static str> {
    let extension = Path::new(name).extension().map(|e| e.to_string_lossy().to_lowercase());
    match extension.as_deref() {
        _ if found.is_dir() => Some("a folder"),
        _ if !found.is_file() => Some("no plain file"),
        _ if name.starts_with('.') => Some("hidden"),
        Some("safetensors") => Some("not among the weights that were pruned"),
        Some(e) if WEIGHTS.contains(&e) => Some("weights in another format, which are not pruned"),
        _ if name.ends_with(".index.json") => Some("the index of files that are not pruned"),
        _ if found.len() > LARGEST => Some("over 100 MB"),
        _ => None,
    }
}
