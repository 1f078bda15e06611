//! Labelled rows of features, one byte per feature.
use std::sync::Arc;

use crate::{Error, Result};
use std::fmt;

/// Rows of features with one class label each.
///
/// A feature is kept as a byte and read as `byte * scale`. There is at least one row, and every
/// label is below [`classes`](Self::classes).
#[derive(Clone, PartialEq)]
pub struct Dataset {
    name: String,
    feature_shape: Vec<usize>,
    classes: u32,
    scale: f32,
    bytes: Vec<u8>,
    labels: Vec<u8>,
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
        let name = name.into();
        if feature_shape.is_empty() || feature_shape.contains(&0) {
            let message = format!("{feature_shape:?}; give at least one size, each at least 1");
            return Err(Error::argument("feature_shape", message));
        }
        if labels.is_empty() || u32::try_from(labels.len()).is_err() {
            let message = format!("{} rows; a data set has 1 to {}", labels.len(), u32::MAX);
            return Err(Error::argument("labels", message));
        }
        if !(scale.is_finite() && scale > 0.0) {
            let message = format!("{scale}; must be positive and finite");
            return Err(Error::argument("scale", message));
        }
        let length = feature_shape.iter().try_fold(labels.len(), |n, &size| n.checked_mul(size));
        if length != Some(bytes.len()) {
            let (rows, found) = (labels.len(), bytes.len());
            let message = format!("{rows} rows of {feature_shape:?} do not fill {found} bytes");
            return Err(Error::shape(name, message));
        }
        if let Some(row) = labels.iter().position(|&label| u32::from(label) >= classes) {
            let message = format!("row {row} has label {}, of {classes} classes", labels[row]);
            return Err(Error::argument("labels", message));
        }
        Ok(Self { name, feature_shape: feature_shape.to_vec(), classes, scale, bytes, labels })
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
        self.labels.len()
    }

    /// Features per row: the product of [`feature_shape`](Self::feature_shape).
    pub fn width(&self) -> usize {
        self.feature_shape.iter().product()
    }

    /// Number of classes; may be more than the labels that occur.
    pub fn classes(&self) -> u32 {
        self.classes
    }

    /// Writes the features of row `i` into `row`.
    ///
    /// # Panics
    /// When `i` is not below [`rows`](Self::rows), or `row` is not [`width`](Self::width) long.
    pub fn write_row(&self, i: usize, row: &mut [f32]) {
        let width = self.width();
        assert_eq!(row.len(), width, "length of a row of {}", self.name);
        for (value, &byte) in row.iter_mut().zip(&self.bytes[i * width..][..width]) {
            *value = f32::from(byte) * self.scale;
        }
    }

    /// Class of row `i`.
    ///
    /// # Panics
    /// When `i` is not below [`rows`](Self::rows).
    pub fn label(&self, i: usize) -> u32 {
        u32::from(self.labels[i])
    }

    /// The first `n` rows, or all when there are fewer.
    ///
    /// # Errors
    /// [`Error::Argument`] when `n` is 0.
    pub fn head(&self, n: usize) -> Result<Self> {
        let n = n.min(self.rows());
        Self::new(
            self.name.as_str(),
            &self.feature_shape,
            self.classes,
            self.scale,
            self.bytes[..n * self.width()].to_vec(),
            self.labels[..n].to_vec(),
        )
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
            .finish_non_exhaustive()
    }
}
