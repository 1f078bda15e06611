//! The names under which people have the four files of an MNIST-style data set.
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Folders that the files may lie in, as archives and other programs lay them out.
const INNER: &[&str] = &["", "raw", "gzip"];

/// Where the files are, and what their names begin with.
pub(super) struct Names {
    folder: PathBuf,
    /// Empty, or one of EMNIST's sets and a `-`.
    prefix: String,
}

impl Names {
    /// Looks into `path`, the folder of a data set called `name`; or, where there is no such
    /// folder, for files whose names begin so: `emnist/emnist-letters`.
    pub(super) fn find(path: &Path, name: &str) -> Result<Self> {
        let (folder, wanted) = match (path.is_dir(), path.parent(), path.file_name()) {
            (false, Some(parent), Some(start))
                if parent.as_os_str().is_empty() || parent.is_dir() =>
            {
                (parent, Some(format!("{}-", start.to_string_lossy())))
            }
            _ => (path, None),
        };
        let of_torch = if name == "fashion-mnist" { "FashionMNIST/raw" } else { "MNIST/raw" };
        for inner in INNER.iter().chain(&[of_torch, "EMNIST/raw"]) {
            let folder = folder.join(inner);
            let mut prefixes = prefixes(&folder);
            match &wanted {
                Some(wanted) if prefixes.contains(wanted) => {
                    return Ok(Self { folder, prefix: wanted.clone() });
                }
                Some(_) => continue,
                None => {}
            }
            if prefixes.contains("") {
                return Ok(Self { folder, prefix: String::new() });
            }
            let Some(prefix) = prefixes.pop_first() else { continue };
            if !prefixes.is_empty() {
                let all: Vec<_> = [&prefix].into_iter().chain(&prefixes).collect();
                let sets = all.iter().map(|p| p.trim_end_matches('-')).collect::<Vec<_>>();
                let message = format!("holds the sets {}", sets.join(", "));
                let way = format!("name one of them: {}/{}", path.display(), sets[0]);
                return Err(Error::file(folder, format!("{message}; {way}")));
            }
            return Ok(Self { folder, prefix });
        }
        // The first file that is missing is named.
        Ok(Self { folder: path.to_owned(), prefix: String::new() })
    }

    /// Whether the images lie on their side.
    pub(super) fn is_emnist(&self) -> bool {
        self.prefix.starts_with("emnist")
    }

    /// The file of the half to train on (0) or to test on (1), of images (3) or labels (1).
    pub(super) fn file(&self, half: usize, dimensions: u8) -> Result<PathBuf> {
        let what = if dimensions == 3 { "images" } else { "labels" };
        let halves: &[&str] = if half == 0 { &["train"] } else { &["t10k", "test"] };
        let names = halves.iter().flat_map(|half| {
            let start = format!("{}{half}-{what}", self.prefix);
            ["-", "."].map(|part| format!("{start}{part}idx{dimensions}-ubyte"))
        });
        let names: Vec<String> = names.collect();
        let in_folder =
            |name: &String| [name.clone(), format!("{name}.gz"), format!("{name}/{name}")];
        let paths: Vec<PathBuf> =
            names.iter().flat_map(in_folder).map(|name| self.folder.join(name)).collect();
        let is_file = paths.iter().find(|path| path.is_file());
        if let Some(path) = is_file.or_else(|| paths.iter().find(|path| path.exists())) {
            return Ok(path.clone());
        }
        let name = if self.is_emnist() { &names[names.len() - 2] } else { &names[0] };
        let message = format!(
            "has neither {name} nor {name}.gz; the folder should hold train-images-idx3-ubyte, \
             train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, \
             each plain or with .gz"
        );
        Err(Error::file(&self.folder, message))
    }
}

/// What the names of training images in `folder` begin with.
fn prefixes(folder: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeSet::new() };
    let prefix = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let start = name.strip_suffix("idx3-ubyte")?.strip_suffix(['-', '.'])?;
        let start = ["train-images", "t10k-images", "test-images"]
            .iter()
            .find_map(|half| start.strip_suffix(half))?;
        (start.is_empty() || start.ends_with('-')).then(|| start.to_owned())
    };
    entries.flatten().filter_map(prefix).collect()
}
