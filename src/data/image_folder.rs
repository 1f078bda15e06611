//! Pictures in folders, a folder a class.
use super::{Answers, Dataset, Features, OpenOptions, Raster, Schema};
use crate::{Error, Result};
use image::imageops::FilterType;
use image::{DynamicImage, ImageReader};
use std::fs;
use std::path::{Path, PathBuf};

/// The pictures of a folder by their files: those in its folders, which are named as the classes
/// are, or, where it has none, those in it, without classes. One picture is a folder of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pictures {
    /// The files, folder after folder, by name.
    pub files: Vec<PathBuf>,
    /// Names of the folders, by name; empty where there are none.
    pub classes: Vec<String>,
    /// Of each file the number of its folder; empty where there are none.
    pub labels: Vec<u32>,
}

impl Pictures {
    /// The pictures of the folder at `dir`.
    ///
    /// # Errors
    /// [`Error::File`] for a folder without a picture or with one in the wrong place; [`Error::Io`].
    pub fn of(dir: &Path) -> Result<Self> {
        if dir.is_file() && is_image(dir) {
            return Ok(Self { files: vec![dir.to_owned()], ..Self::default() });
        }
        let (folders, loose) = list(dir)?;
        let stray = loose.iter().find(|file| is_image(file));
        if let (Some(folder), Some(file)) = (folders.first(), stray) {
            let message = format!(
                "is a picture beside folders of classes ({}); move it into one of them",
                folder.display()
            );
            return Err(Error::file(file, message));
        }
        let mut this = Self::default();
        for folder in &folders {
            let (inner, files) = list(folder)?;
            if let Some(inner) = inner.first() {
                let message = "is a folder within the folder of a class; move its pictures there";
                return Err(Error::file(inner, message));
            }
            if files.is_empty() {
                return Err(Error::file(folder, "holds no picture; add some or remove the folder"));
            }
            this.labels.extend(files.iter().map(|_| this.classes.len() as u32));
            this.files.extend(files);
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            this.classes.push(name);
        }
        if folders.is_empty() {
            this.files = loose.into_iter().filter(|file| is_image(file)).collect();
        }
        if this.files.is_empty() {
            let message =
                "holds no picture, neither PNG nor JPEG; a folder for each class holds its own";
            return Err(Error::file(dir, message));
        }
        Ok(this)
    }

    /// Those to test on: of a folder that has folders `train` and `test` the second.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn to_test(dir: &Path) -> Result<Self> {
        Self::of(&test_half("images", dir))
    }

    /// The files as `dir` has them: without its own path before them.
    pub fn names(&self, dir: &Path) -> Vec<String> {
        let name = |file: &PathBuf| match file.strip_prefix(dir) {
            Ok(within) if !within.as_os_str().is_empty() => within.display().to_string(),
            _ => file.display().to_string(),
        };
        self.files.iter().map(name).collect()
    }

    /// Those to train on, or to calibrate on: of such a folder the first.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn to_train(dir: &Path) -> Result<Self> {
        Self::of(&halves(dir).map_or_else(|| dir.to_owned(), |[train, _]| train))
    }
}

/// All pictures of a folder as rows.
pub(super) fn rows(dir: &Path, options: &OpenOptions, schema: Option<&Schema>) -> Result<Dataset> {
    // A schema without names takes those that there are.
    let known = schema.map(|schema| &schema.class_names[..]).filter(|names| !names.is_empty());
    let Pictures { files, classes: names, labels } = Pictures::of(dir)?;
    let number = |(i, name): (usize, &String)| match known {
        Some(known) => known.iter().position(|other| other == name).ok_or_else(|| {
            let known = known.join(", ");
            let message = format!("class `{name}` is not one that the model knows ({known})");
            Error::file(dir.join(name), message)
        }),
        None => Ok(i),
    };
    let numbers: Vec<usize> = names.iter().enumerate().map(number).collect::<Result<_>>()?;
    let mut pixels = Pixels::new(dir, options, schema)?;
    files.iter().try_for_each(|file| pixels.read(file))?;
    let count = known.map_or(names.len(), <[String]>::len) as u32;
    let answers = match names.is_empty() {
        true => Answers::None,
        false => {
            let labels = labels.iter().map(|&label| numbers[label as usize] as u32).collect();
            Answers::Classes { labels, classes: count }
        }
    };
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let features = Features::U8 { bytes: pixels.bytes, scale: 1.0 / 255.0 };
    let [height, width] = pixels.size.unwrap_or([1, 1]);
    let data = Dataset::new(name, &[height, width, pixels.channels], features, answers)
        .map_err(|error| Error::file(dir, error.to_string()))?;
    if names.is_empty() {
        return Ok(data);
    }
    data.with_class_names(known.map_or(names, <[String]>::to_vec))
}

/// The picture in a file.
pub(super) fn decoded(path: &Path) -> Result<DynamicImage> {
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    let reader = reader.map_err(Error::io("read", path))?;
    reader.decode().map_err(|error| {
        let message = format!("no picture that can be read ({error}); PNG and JPEG are");
        Error::file(path, message)
    })
}

impl Raster {
    /// The picture in a file, a PNG or a JPEG, in three colours.
    ///
    /// # Errors
    /// [`Error::File`] for what is none; [`Error::Io`].
    pub fn read(path: &Path) -> Result<Self> {
        let image = decoded(path)?.into_rgb8();
        let size = [image.height() as usize, image.width() as usize];
        Ok(Self { size, channels: 3, bytes: image.into_raw() })
    }
}

/// The folders `train` and `test` of a folder that has both.
pub(super) fn halves(dir: &Path) -> Option<[PathBuf; 2]> {
    let halves = ["train", "test"].map(|half| dir.join(half));
    halves.iter().all(|half| half.is_dir()).then_some(halves)
}

/// What of `path` is evaluated, where it is a folder of pictures in two halves.
pub(super) fn test_half(kind: &str, path: &Path) -> PathBuf {
    let half = halves(path).filter(|_| kind == "images");
    half.map_or_else(|| path.to_owned(), |[_, test]| test)
}

/// The folders and the files in a folder, by name, but for hidden ones.
fn list(dir: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io("read", dir))? {
        let path = entry.map_err(Error::io("read", dir))?.path();
        if !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths.into_iter().partition(|path| path.is_dir()))
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
    ["png", "jpg", "jpeg"].iter().any(|&known| extension == known)
}

/// Pixels of all pictures, interleaved.
struct Pixels {
    bytes: Vec<u8>,
    /// Height and width, once they are known.
    size: Option<[usize; 2]>,
    /// Whether pictures are brought to it.
    resizes: bool,
    channels: usize,
    /// Whether a picture of colours makes all of them such.
    grows: bool,
    first: Option<PathBuf>,
}

impl Pixels {
    fn new(dir: &Path, options: &OpenOptions, schema: Option<&Schema>) -> Result<Self> {
        let of_schema = match schema.map(|schema| &schema.shape[..]) {
            None => None,
            Some(&[height, width, channels @ (1 | 3)]) => Some(([height, width], channels)),
            Some(shape) => {
                let message = format!("has images, the model was trained on rows of {shape:?}");
                return Err(Error::file(dir, message));
            }
        };
        let asked = options.size;
        if let Some([height, width]) = asked
            && ![height, width].iter().all(|side| (1..=MAX_SIDE).contains(side))
        {
            let message = format!("{height} x {width}; each is 1 to {MAX_SIDE}");
            return Err(Error::argument("size", message));
        }
        if let (Some(asked), Some((trained, _))) = (asked, of_schema)
            && asked != trained
        {
            let message = format!(
                "{} x {}, the model was trained on {} x {}; leave it out",
                asked[0], asked[1], trained[0], trained[1]
            );
            return Err(Error::argument("size", message));
        }
        let size = of_schema.map(|(size, _)| size).or(asked);
        Ok(Self {
            bytes: Vec::new(),
            size,
            resizes: size.is_some(),
            channels: of_schema.map_or(1, |(_, channels)| channels),
            grows: of_schema.is_none(),
            first: None,
        })
    }

    fn read(&mut self, path: &Path) -> Result<()> {
        let image = decoded(path)?;
        let image = self.sized(path, image)?;
        if self.grows && self.channels == 1 && image.color().has_color() {
            self.bytes = self.bytes.iter().flat_map(|&byte| [byte; 3]).collect();
            self.channels = 3;
        }
        match self.channels {
            1 => self.bytes.extend(image.into_luma8().into_raw()),
            _ => self.bytes.extend(image.into_rgb8().into_raw()),
        }
        Ok(())
    }

    /// In the size of all.
    fn sized(&mut self, path: &Path, image: DynamicImage) -> Result<DynamicImage> {
        let found = [image.height() as usize, image.width() as usize];
        let size = *self.size.get_or_insert(found);
        let first = self.first.get_or_insert_with(|| path.to_owned());
        if found == size {
            return Ok(image);
        }
        if !self.resizes {
            let message = format!(
                "is {} x {}, and {} is {} x {} (height x width); give a `size` for all",
                found[0],
                found[1],
                first.display(),
                size[0],
                size[1]
            );
            return Err(Error::file(path, message));
        }
        Ok(image.resize_exact(size[1] as u32, size[0] as u32, FilterType::Triangle))
    }
}

/// Larger pictures fill a device with a single row.
const MAX_SIDE: usize = 1 << 14;
