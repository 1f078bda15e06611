//! What lies beside a model's weights: what its loaders need besides them, subfolders included.
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use super::output::check_within;
use super::{MadeFolder, Replace};
use crate::{Error, Result};

/// Largest file that is copied along, and the most bytes of a subfolder: tokenizers have up to some
/// 30 MB.
const LARGEST: u64 = 100_000_000;
/// Most files and folders of a subfolder.
const MOST: usize = 1000;
/// What says which subfolders a model of sentence-transformers is made of.
const MODULES: &str = "modules.json";
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
///
/// A subfolder comes with all that is in it, unless weights are: those of another format, of another
/// model, or of a checkpoint. Of those that `modules.json` names the weights come too, once. Files
/// that are links are copied, as model caches have them, but those in a subfolder that lead out of
/// the folder and into no such cache; folders that are links are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Companions {
    /// The files that were copied to the output's folder, by their paths in it, whose parts are
    /// parted by `/`.
    pub copied: Vec<String>,
    /// Those that were not, and folders of which nothing was, each with the reason.
    pub left_out: Vec<String>,
}

/// What is found in a subfolder.
#[derive(Default)]
struct Found {
    /// The model's folder itself, and where the Hub's cache has what files in it are links to.
    within: Vec<PathBuf>,
    of: Companions,
    bytes: u64,
    /// Files and folders.
    entries: usize,
}

impl Companions {
    /// Looks at what is in `folder` besides the files `taken`, for the folder `output`.
    ///
    /// # Errors
    /// [`Error::Io`]; of [`check_within`] for a copy's place.
    pub(crate) fn find(
        folder: &Path,
        taken: &[PathBuf],
        output: &Path,
        force: bool,
    ) -> Result<Self> {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let taken: Vec<_> = taken.iter().filter_map(|path| path.file_name()).collect();
        let (modules, real) = (modules(folder), fs::canonicalize(output).ok());
        let mut this = Self::default();
        for path in entries(folder)? {
            let Some(file) = path.file_name().filter(|name| !taken.contains(name)) else {
                continue;
            };
            let name = file.to_string_lossy().into_owned();
            let inside = || fs::canonicalize(&path).ok().zip(real.as_ref());
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() => match reason_of_folder(&path, &name) {
                    Some(reason) => this.leave(&name, reason),
                    None if inside().is_some_and(|(path, output)| output.starts_with(path)) => {
                        this.leave(&name, "the output is there");
                    }
                    None => this.subfolder(folder, &name, modules.contains(&name))?,
                },
                // Files of model caches are links to where their content lies.
                found => match found.map_or(Some("it cannot be read"), |m| reason(&name, &m)) {
                    Some(reason) => this.leave(&name, reason),
                    None => this.copied.push(name),
                },
            }
        }
        let names = this.copied.iter().map(Path::new);
        names.into_iter().try_for_each(|name| check_within(output, name, force))?;
        Ok(this)
    }

    fn leave(&mut self, name: &str, reason: &str) {
        self.left_out.push(format!("{name} ({reason})"));
    }

    /// Takes what is in the subfolder `name` of `folder`, of which the model is made where it is a
    /// `module`.
    fn subfolder(&mut self, folder: &Path, name: &str, module: bool) -> Result<()> {
        let real = fs::canonicalize(folder).map_err(Error::io("find", folder))?;
        // A snapshot there is two folders below its cache.
        let blobs = real.ancestors().nth(2).map(|cache| cache.join("blobs"));
        let within = blobs.into_iter().chain([real]).collect();
        let mut found = Found { within, ..Found::default() };
        found.walk(&folder.join(name), name, module)?;
        if found.entries > MOST {
            self.leave(name, "over 1000 files");
        } else if found.bytes > LARGEST && !module {
            self.leave(name, "over 100 MB");
        } else {
            self.copied.extend(found.of.copied);
            self.left_out.extend(found.of.left_out);
        }
        Ok(())
    }

    /// Begins the copies of the files from `folder` to `output`. Folders that are made for them are
    /// gone again where no copy comes into them.
    pub(crate) fn copy(&self, folder: &Path, output: &Path) -> Result<Vec<Replace>> {
        let mut made = MadeFolder::default();
        for name in self.copied.iter().filter(|name| name.contains('/')) {
            made.add(output.join(name).parent().unwrap_or(output))?;
        }
        let made = Arc::new(made);
        let copy = |name: &String| {
            let source = folder.join(name);
            let mut file = File::open(&source).map_err(Error::io("open", &source))?;
            let mut copy = Replace::create(&output.join(name))?.within(&made);
            io::copy(&mut file, &mut copy).map_err(Error::io("copy", &source))?;
            Ok(copy)
        };
        self.copied.iter().map(copy).collect()
    }
}

impl Found {
    /// Takes what is in the folder at `path`, whose path in the model's folder is `within`.
    fn walk(&mut self, path: &Path, within: &str, module: bool) -> Result<()> {
        let entries = entries(path)?;
        self.entries += entries.len();
        if self.entries > MOST {
            return Ok(());
        }
        let is = |path: &Path, wanted: fn(&str) -> bool| {
            extension(path).is_some_and(|e| wanted(&e)) && path.is_file()
        };
        let weights = |path: &PathBuf| is(path, |e| WEIGHTS.contains(&e));
        if !module && entries.iter().any(weights) {
            self.of.leave(within, "has weights of its own, which are not pruned");
            return Ok(());
        }
        let safe = entries.iter().any(|path| is(path, |e| e == "safetensors"));
        for path in &entries {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            let name = format!("{within}/{file}");
            match fs::metadata(path) {
                Ok(found) if found.is_dir() => match reason_of_folder(path, &file) {
                    Some(reason) => self.of.leave(&name, reason),
                    None => self.walk(path, &name, module)?,
                },
                Ok(_) if self.leads_out(path) => self.of.leave(&name, "a link out of the folder"),
                Ok(found) if weights(path) => {
                    if safe && !is(path, |e| e == "safetensors") {
                        self.of.leave(&name, "the same weights in another format");
                        continue;
                    }
                    self.bytes += found.len();
                    self.of.copied.push(name);
                }
                Ok(found) => match reason(&file, &found) {
                    Some(reason) => self.of.leave(&name, reason),
                    None => {
                        self.bytes += found.len();
                        self.of.copied.push(name);
                    }
                },
                Err(_) => self.of.leave(&name, "it cannot be read"),
            }
        }
        Ok(())
    }

    /// Whether what is at `path` is a link to somewhere else than models have theirs.
    fn leads_out(&self, path: &Path) -> bool {
        let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
        let real = fs::canonicalize(path).ok().filter(|_| is_link);
        real.is_some_and(|real| !self.within.iter().any(|folder| real.starts_with(folder)))
    }
}

/// What is in a folder, in the order of the names.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(Error::io("list", folder))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// The subfolders that the model in `folder` is made of, as far as a list of them can be read.
fn modules(folder: &Path) -> Vec<String> {
    let list = fs::read(folder.join(MODULES)).ok();
    let list = list.and_then(|json| serde_json::from_slice::<Vec<serde_json::Value>>(&json).ok());
    let path = |module: &serde_json::Value| {
        let path = module.get("path")?.as_str()?.trim_end_matches('/');
        let mut parts = Path::new(path).components();
        let one = matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None));
        one.then(|| path.to_owned())
    };
    list.unwrap_or_default().iter().filter_map(path).collect()
}

fn extension(path: &Path) -> Option<String> {
    path.extension().map(|e| e.to_string_lossy().to_lowercase())
}

/// Why nothing of a folder is copied along, where nothing is.
fn reason_of_folder(path: &Path, name: &str) -> Option<&'static str> {
    match fs::symlink_metadata(path) {
        _ if name.starts_with('.') => Some("hidden"),
        Ok(found) if found.is_symlink() => Some("a link to a folder"),
        Ok(_) => None,
        Err(_) => Some("it cannot be read"),
    }
}

/// Why a file is not copied along, where it is not.
fn reason(name: &str, found: &fs::Metadata) -> Option<&'static str> {
    match extension(Path::new(name)).as_deref() {
        _ if !found.is_file() => Some("no plain file"),
        _ if name.starts_with('.') => Some("hidden"),
        Some("safetensors") => Some("not among the weights that were pruned"),
        Some(e) if WEIGHTS.contains(&e) => Some("weights in another format, which are not pruned"),
        _ if name.ends_with(".index.json") => Some("the index of files that are not pruned"),
        _ if found.len() > LARGEST => Some("over 100 MB"),
        _ => None,
    }
}
