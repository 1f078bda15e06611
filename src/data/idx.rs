//! Data sets in the IDX file format of MNIST, plain or gzipped.
use super::file::{foreign, open, refused};
use super::idx_names::Names;
use super::{Answers, Dataset, Features, Split};
use crate::{Error, Result};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads the four files of an MNIST-style data set from `dir`: `train-images-idx3-ubyte`,
/// `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`.
///
/// Each may have `.gz` at its end, and `.idx` in place of `-idx`; the plain file is taken where
/// both are there. They may lie in `raw`, `gzip` or `MNIST/raw` (`FashionMNIST/raw`) of `dir`.
/// EMNIST's names begin with that of one of its sets: `DIR/emnist-letters` chooses one of several.
/// Its images lie on their side in its files; they are turned to stand as MNIST's do. Pixels are in
/// `[0, 1]`. There is one class more than the largest label of the train half, and at least 2.
///
/// # Errors
/// [`Error::File`] when a file is missing, malformed, or does not fit the others; [`Error::Io`]
/// when the operating system refuses to read one.
pub fn idx_folder(dir: &Path, name: &str) -> Result<Split> {
    let names = Names::find(dir, name)?;
    let [train, test] = [Half::read(&names, 0)?, Half::read(&names, 1)?];
    if test.images.sizes[1..] != train.images.sizes[1..] {
        let (found, wanted) = (&test.images.sizes[1..], &train.images.sizes[1..]);
        let message = format!(
            "images are {found:?}, but those of {} are {wanted:?}",
            train.images.path.display()
        );
        return Err(Error::file(test.images.path, message));
    }
    let classes = train.labels.bytes.iter().max().map_or(2, |&max| (u32::from(max) + 1).max(2));
    let [train, test] = [train, test].map(|half| half.into_dataset(name, classes).map(Arc::new));
    Ok(Split { train: train?, test: test? })
}

/// Images and as many labels.
struct Half {
    images: Idx,
    labels: Idx,
}

impl Half {
    fn read(names: &Names, half: usize) -> Result<Self> {
        let mut images = Idx::read(names.file(half, 3)?, 3)?;
        let labels = Idx::read(names.file(half, 1)?, 1)?;
        if names.is_emnist() {
            images.turn();
        }
        if images.sizes[0] != labels.sizes[0] {
            let (found, wanted) = (labels.sizes[0], images.sizes[0]);
            let message =
                format!("{found} labels, but {} holds {wanted} images", images.path.display());
            return Err(Error::file(labels.path, message));
        }
        Ok(Self { images, labels })
    }

    fn into_dataset(self, name: &str, classes: u32) -> Result<Dataset> {
        let Idx { sizes, bytes, .. } = self.images;
        let features = Features::U8 { bytes, scale: 1.0 / 255.0 };
        Dataset::new(name, &sizes[1..], features, Answers::classes(self.labels.bytes, classes))
            .map_err(|error| Error::file(self.labels.path, error.to_string()))
    }
}

/// One file: `bytes` is exactly as long as `sizes` says, and not empty.
struct Idx {
    path: PathBuf,
    sizes: Vec<usize>,
    bytes: Vec<u8>,
}

impl Idx {
    fn read(path: PathBuf, dimensions: u8) -> Result<Self> {
        let Some(mut reader) = open(&path)? else { return Err(Error::file(path, "is gone")) };
        let mut head = Vec::new();
        let head_len = 4 + 4 * u64::from(dimensions);
        reader.by_ref().take(head_len).read_to_end(&mut head).map_err(refused(&path))?;
        if head.len() as u64 != head_len {
            let message = format!("holds {} bytes, its header alone has {head_len}", head.len());
            return Err(Error::file(path, message));
        }
        let words: Vec<u32> =
            head.as_chunks().0.iter().map(|&word| u32::from_be_bytes(word)).collect();
        let magic = MAGIC_BYTES | u32::from(dimensions);
        if words[0] != magic {
            let message = format!(
                "magic number is 0x{:08x}, expected 0x{magic:08x} (bytes in {dimensions} \
                 dimensions){}",
                words[0],
                foreign(&path, "; it is ")
            );
            return Err(Error::file(path, message));
        }
        let sizes = &words[1..];
        if sizes.contains(&0) {
            return Err(Error::file(path, format!("sizes are {sizes:?}, each must be at least 1")));
        }

        // The buffer grows with what is there, never with what the header claims. Reading on to
        // the end counts the bytes too many, and has gzip verify its checksum.
        let expected: u128 = sizes.iter().map(|&size| u128::from(size)).product();
        let limit = u64::try_from(expected).unwrap_or(u64::MAX);
        let mut bytes = Vec::new();
        reader.by_ref().take(limit).read_to_end(&mut bytes).map_err(refused(&path))?;
        let extra = io::copy(&mut reader, &mut io::sink()).map_err(refused(&path))?;
        let found = bytes.len() as u128 + u128::from(extra);
        if found != expected {
            let message = format!("sizes {sizes:?} need {expected} bytes, the file holds {found}");
            return Err(Error::file(path, message));
        }
        bytes.shrink_to_fit();
        Ok(Self { path, sizes: sizes.iter().map(|&size| size as usize).collect(), bytes })
    }

    /// Exchanges rows and columns of each image.
    fn turn(&mut self) {
        let &[_, rows, columns] = &*self.sizes else { return };
        for image in self.bytes.chunks_exact_mut(rows * columns) {
            let stored = image.to_vec();
            for (i, pixel) in image.iter_mut().enumerate() {
                *pixel = stored[i % rows * columns + i / rows];
            }
        }
        self.sizes.swap(1, 2);
    }
}

/// First word of a file of unsigned bytes; its last byte is the number of dimensions.
const MAGIC_BYTES: u32 = 0x0800;
