//! Labelled rows of features, one byte per feature.
use std::sync::Arc;

use super::Images;
use crate::{Error, Result};
use std::fmt;

/// Rows of features with a class label each, or as many as there are [`places`](Self::places).
///
/// A feature is kept as a byte and read as `byte * scale`; what [`Images`] says is done to it then.
/// There is at least one row, and every label is below [`classes`](Self::classes).
#[derive(Clone, PartialEq)]
pub struct Dataset {
    name: String,
    /// Of a row as it is kept.
    stored_shape: Vec<usize>,
    /// Of a row as it is read.
    feature_shape: Vec<usize>,
    classes: u32,
    scale: f32,
    bytes: Vec<u8>,
    /// Labels of a row.
    places: usize,
    labels: Vec<u8>,
    images: Option<Images>,
    alphabet: Option<Arc<[char]>>,
}

/// A data set in two halves that share no row and agree in name, shape, classes and scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Rows to train on.
    pub train: Arc<Dataset>,
    /// Rows to evaluate on.
    pub test: Arc<Dataset>,
}

impl Dataset {
    /// Takes rows of shape `feature_shape`, one after the other in `bytes`, and one label per row.
    ///
    /// # Errors
    /// [`Error::Argument`] for an empty shape or one with a 0, for no rows or more than
    /// `u32::MAX`, for a `scale` that is not positive and finite, and for a label that is not
    /// below `classes`; [`Error::Shape`] when `bytes` is not rows x width long.
    pub fn new(
        name: impl Into<String>,
        feature_shape: &[usize],
        classes: u32,
        scale: f32,
        bytes: Vec<u8>,
        labels: Vec<u8>,
    ) -> Result<Self> {
        Self::with_places(name, feature_shape, classes, scale, bytes, labels, 1)
    }

    /// As [`new`](Self::new) with `places` labels per row, one row after the other in `labels`.
    ///
    /// # Errors
    /// Those of [`new`](Self::new); [`Error::Argument`] for labels that are not rows x `places`.
    pub fn with_places(
        name: impl Into<String>,
        feature_shape: &[usize],
        classes: u32,
        scale: f32,
        bytes: Vec<u8>,
        labels: Vec<u8>,
        places: usize,
    ) -> Result<Self> {
        let name = name.into();
        if places == 0 || !labels.len().is_multiple_of(places) {
            let message =
                format!("{places}; must be 1 or more and divide the {} labels", labels.len());
            return Err(Error::argument("places", message));
        }
        let rows = labels.len() / places;
        if feature_shape.is_empty() || feature_shape.contains(&0) {
            let message = format!("{feature_shape:?}; give at least one size, each at least 1");
            return Err(Error::argument("feature_shape", message));
        }
        if rows == 0 || u32::try_from(rows).is_err() {
            let message = format!("{rows} rows; a data set has 1 to {}", u32::MAX);
            return Err(Error::argument("labels", message));
        }
        if !(scale.is_finite() && scale > 0.0) {
            let message = format!("{scale}; must be positive and finite");
            return Err(Error::argument("scale", message));
        }
        let length = feature_shape.iter().try_fold(rows, |n, &size| n.checked_mul(size));
        if length != Some(bytes.len()) {
            let found = bytes.len();
            let message = format!("{rows} rows of {feature_shape:?} do not fill {found} bytes");
            return Err(Error::shape(name, message));
        }
        if let Some(i) = labels.iter().position(|&label| u32::from(label) >= classes) {
            let (row, label) = (i / places, labels[i]);
            let message = format!("row {row} has label {label}, of {classes} classes");
            return Err(Error::argument("labels", message));
        }
        let stored_shape = feature_shape.to_vec();
        let feature_shape = stored_shape.clone();
        let (images, alphabet) = (None, None);
        Ok(Self {
            name,
            stored_shape,
            feature_shape,
            classes,
            scale,
            bytes,
            places,
            labels,
            images,
            alphabet,
        })
    }

    /// Windows of `length` consecutive `tokens`, which are numbers into `alphabet`: the features of
    /// a row are the tokens of a window, its labels the token after each. The windows follow each
    /// other without overlap; tokens that fill no window are left out.
    ///
    /// # Errors
    /// [`Error::Argument`] for a `length` of 0, for fewer than `length + 1` tokens, for an alphabet
    /// of fewer than 2 or more than 256 characters, and for a token beyond it.
    pub fn text(
        name: impl Into<String>,
        tokens: &[u8],
        alphabet: impl Into<Arc<[char]>>,
        length: usize,
    ) -> Result<Self> {
        let alphabet = alphabet.into();
        let characters = alphabet.len();
        if !(2..=256).contains(&characters) {
            let message = format!("{characters} distinct characters; there must be 2 to 256");
            return Err(Error::argument("alphabet", message));
        }
        if length == 0 {
            return Err(Error::argument("length", "0; a window has 1 character or more"));
        }
        if tokens.len() <= length {
            let message = format!(
                "{length}; a window needs {} characters, with the one after it, and there are {}; \
                 make it shorter",
                length.saturating_add(1),
                tokens.len()
            );
            return Err(Error::argument("length", message));
        }
        if let Some(i) = tokens.iter().position(|&token| usize::from(token) >= characters) {
            let message = format!("number {i} is {}, of {characters} characters", tokens[i]);
            return Err(Error::argument("tokens", message));
        }
        let used = (tokens.len() - 1) / length * length;
        let (bytes, labels) = (tokens[..used].to_vec(), tokens[1..=used].to_vec());
        let classes = characters as u32;
        let text = Self::with_places(name, &[length], classes, 1.0, bytes, labels, length)?;
        Ok(Self { alphabet: Some(alphabet), ..text })
    }

    /// The same rows as images: read as `images` says, in the shape of its crop.
    ///
    /// # Errors
    /// [`Error::Shape`] unless rows are `[height, width, channels]`, and the crop fits into that;
    /// [`Error::Argument`] for a brightness or a contrast that is no range.
    pub fn with_images(self, images: Images) -> Result<Self> {
        let feature_shape = images.shape_of(&self.name, &self.stored_shape)?;
        Ok(Self { feature_shape, images: Some(images), ..self })
    }

    /// Name of the data set, the same in both halves of a [`Split`].
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Shape of one row, for instance `[28, 28]`.
    pub fn feature_shape(&self) -> &[usize] {
        &self.feature_shape
    }

    /// Number of rows, 1 to `u32::MAX`.
    pub fn rows(&self) -> usize {
        self.labels.len() / self.places
    }

    /// Labels per row: 1, or that of each place of a sequence.
    pub fn places(&self) -> usize {
        self.places
    }

    /// Features per row: the product of [`feature_shape`](Self::feature_shape).
    pub fn width(&self) -> usize {
        self.feature_shape.iter().product()
    }

    /// Number of classes; may be more than the labels that occur.
    pub fn classes(&self) -> u32 {
        self.classes
    }

    /// What is done to the images, where the rows are such.
    pub fn images(&self) -> Option<&Images> {
        self.images.as_ref()
    }

    /// Whether the rows are windows of a text, each going on where the one before ends.
    pub fn is_text(&self) -> bool {
        self.alphabet.is_some()
    }

    /// Of a text, the characters that features and labels are the numbers of.
    pub fn alphabet(&self) -> Option<&[char]> {
        self.alphabet.as_deref()
    }

    /// Writes the features of row `i` into `row`. Of an image it is the crop from the middle.
    ///
    /// # Panics
    /// When `i` is not below [`rows`](Self::rows), or `row` is not [`width`](Self::width) long.
    pub fn write_row(&self, i: usize, row: &mut [f32]) {
        assert_eq!(row.len(), self.width(), "length of a row of {}", self.name);
        match &self.images {
            Some(images) => images.write(self.stored(i), &self.stored_shape, self.scale, row),
            None => {
                for (value, &byte) in row.iter_mut().zip(self.stored(i)) {
                    *value = f32::from(byte) * self.scale;
                }
            }
        }
    }

    /// Writes a random version of row `i`, which depends on `seed`, `epoch` and `i` alone; the row
    /// as it is where [`Images::augment`] does not say what is random.
    ///
    /// # Panics
    /// As [`write_row`](Self::write_row).
    pub fn write_random_row(&self, i: usize, seed: u64, epoch: u64, row: &mut [f32]) {
        let Some((images, augment)) = self.images.as_ref().and_then(|x| Some((x, x.augment?)))
        else {
            return self.write_row(i, row);
        };
        assert_eq!(row.len(), self.width(), "length of a row of {}", self.name);
        let draws = augment.draw(images.room(&self.stored_shape), seed, epoch, i as u64);
        images.write_version(self.stored(i), &self.stored_shape, self.scale, &draws, row);
    }

    /// Bytes of row `i`.
    fn stored(&self, i: usize) -> &[u8] {
        let width = self.stored_shape.iter().product::<usize>();
        &self.bytes[i * width..][..width]
    }

    /// Class of row `i`, the first of its places.
    ///
    /// # Panics
    /// When `i` is not below [`rows`](Self::rows).
    pub fn label(&self, i: usize) -> u32 {
        u32::from(self.labels[i * self.places])
    }

    /// Classes of row `i`, one for each of its places.
    ///
    /// # Panics
    /// When `i` is not below [`rows`](Self::rows).
    pub fn labels(&self, i: usize) -> impl ExactSizeIterator<Item = u32> + '_ {
        self.labels[i * self.places..][..self.places].iter().map(|&label| label.into())
    }

    /// The first `n` rows, or all when there are fewer.
    ///
    /// # Errors
    /// [`Error::Argument`] when `n` is 0.
    pub fn head(&self, n: usize) -> Result<Self> {
        if n == 0 {
            return Err(Error::argument("labels", "0 rows; a data set has at least 1"));
        }
        let n = n.min(self.rows());
        let width = self.stored_shape.iter().product::<usize>();
        Ok(Self {
            name: self.name.clone(),
            stored_shape: self.stored_shape.clone(),
            feature_shape: self.feature_shape.clone(),
            bytes: self.bytes[..n * width].to_vec(),
            labels: self.labels[..n * self.places].to_vec(),
            alphabet: self.alphabet.clone(),
            ..*self
        })
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("name", &self.name)
            .field("rows", &self.rows())
            .field("feature_shape", &self.feature_shape)
            .field("classes", &self.classes)
            .field("scale", &self.scale)
            .field("places", &self.places)
            .field("images", &self.images)
            .finish_non_exhaustive()
    }
}
