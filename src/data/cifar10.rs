//! CIFAR-10 in its binary format, plain or gzipped.
use super::file::{find, open, refused};
use super::{Answers, Augment, Dataset, Features, Images, Split};
use crate::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads CIFAR-10 from `path`: records of a label byte and 32 x 32 pixels in planes of red, green
/// and blue.
///
/// A folder of `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin` is the whole data set.
/// A single file of records, or a folder with one, gives its last tenth to the test half, rounded
/// down, and at least one row. Each file may have `.gz` at its end; the plain one is taken where
/// both are there.
///
/// Features are 0 to 255 in `[24, 24, 3]`, read as upstream does ([`Images`]): the middle,
/// standardised. Random versions ([`Batches::augment`](super::Batches::augment)) are cropped
/// anywhere, flipped, made up to 63 brighter or darker, and given 0.2 to 1.8 of their contrast.
///
/// # Errors
/// [`Error::File`] when a file is missing, holds no whole number of records, or a label over 9;
/// [`Error::Io`] when the operating system refuses to read one.
pub fn cifar10(path: &Path) -> Result<Split> {
    if path.is_dir() && STANDARD.iter().all(|name| is_there(path, name)) {
        let [train @ .., test] = STANDARD;
        let mut records = Records::default();
        train.iter().try_for_each(|name| records.read_in(path, name))?;
        let mut rest = Records::default();
        rest.read_in(path, test)?;
        return Ok(Split { train: records.dataset()?, test: rest.dataset()? });
    }
    let file = if path.is_dir() { only_file(path)? } else { path.to_owned() };
    let mut records = Records::default();
    records.read(&file)?;
    let n = records.labels.len();
    if n < 2 {
        let message = "holds 1 record, 2 are needed: one to train on, one to test";
        return Err(Error::file(file, message));
    }
    let rest = records.split_off(n - (n / 10).max(1));
    Ok(Split { train: records.dataset()?, test: rest.dataset()? })
}

const STANDARD: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];
const SIDE: usize = 32;
const PIXELS: usize = SIDE * SIDE;
const CHANNELS: usize = 3;
const RECORD: usize = 1 + CHANNELS * PIXELS;
const CLASSES: u8 = 10;
const IMAGES: Images = Images {
    crop: [24, 24],
    standardise: true,
    augment: Some(Augment { flip: true, brightness: 63.0, contrast: [0.2, 1.8] }),
};

fn is_there(dir: &Path, name: &str) -> bool {
    dir.join(name).exists() || dir.join(format!("{name}.gz")).exists()
}

/// The one file of records in `dir`.
fn only_file(dir: &Path) -> Result<PathBuf> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io("read", dir))? {
        let name = entry.map_err(Error::io("read", dir))?.file_name();
        let Some(name) = name.to_str() else { continue };
        let stem = name.strip_suffix(".gz").unwrap_or(name);
        if stem.ends_with(".bin") {
            names.push(stem.to_owned());
        }
    }
    names.sort();
    names.dedup();
    match names.as_slice() {
        [name] => Ok(if dir.join(name).exists() {
            dir.join(name)
        } else {
            dir.join(format!("{name}.gz"))
        }),
        _ => {
            let missing: Vec<&str> =
                STANDARD.into_iter().filter(|name| !is_there(dir, name)).collect();
            let message = format!(
                "holds {} files *.bin or *.bin.gz; should hold 1, or the 6 of CIFAR-10, of which \
                 {} are missing: {}",
                names.len(),
                missing.len(),
                missing.join(", ")
            );
            Err(Error::file(dir, message))
        }
    }
}

/// Pixels, interleaved, and as many labels.
#[derive(Default)]
struct Records {
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Records {
    /// Appends the records of the file `name` in `dir`.
    fn read_in(&mut self, dir: &Path, name: &str) -> Result<()> {
        match find(dir, name)? {
            Some((path, _)) => self.read(&path),
            None => Err(Error::file(dir.join(name), "is missing, and so is the same with .gz")),
        }
    }

    /// Appends the records of a file.
    fn read(&mut self, path: &Path) -> Result<()> {
        let mut bytes = Vec::new();
        let reader = open(path)?;
        let mut reader =
            reader.ok_or_else(|| Error::file(path, "is missing; name a file or a folder"))?;
        reader.read_to_end(&mut bytes).map_err(refused(path))?;
        let (records, rest) = bytes.as_chunks::<RECORD>();
        if records.is_empty() || !rest.is_empty() {
            let message = format!(
                "holds {} bytes, {} more than {} records of {RECORD} (a label, and 32 x 32 pixels \
                 in 3 planes); must be 1 record or more, and no part of one",
                bytes.len(),
                rest.len(),
                records.len()
            );
            return Err(Error::file(path, message));
        }
        for (i, [label, planes @ ..]) in records.iter().enumerate() {
            if *label >= CLASSES {
                let message = format!("record {i} has label {label}, must be 0 to {}", CLASSES - 1);
                return Err(Error::file(path, message));
            }
            self.labels.push(*label);
            let pixel = |p: usize| (0..CHANNELS).map(move |c| planes[c * PIXELS + p]);
            self.pixels.extend((0..PIXELS).flat_map(pixel));
        }
        Ok(())
    }

    fn split_off(&mut self, at: usize) -> Self {
        let pixels = self.pixels.split_off(at * CHANNELS * PIXELS);
        Self { pixels, labels: self.labels.split_off(at) }
    }

    fn dataset(self) -> Result<Arc<Dataset>> {
        let Self { pixels, labels } = self;
        let shape = [SIDE, SIDE, CHANNELS];
        let features = Features::U8 { bytes: pixels, scale: 1.0 };
        let answers = Answers::classes(labels, CLASSES.into());
        let stored = Dataset::new("cifar10", &shape, features, answers)?;
        Ok(Arc::new(stored.with_images(IMAGES)?))
    }
}
