//! Rows of features, with or without answers, in memory.
use super::answers::{self, Answers};
use super::beside::Beside;
use super::features::{self, Features};
use super::schema::Names;
use super::{Images, Scaling, Task};
use crate::{Error, Result};
use std::fmt;
use std::sync::Arc;

/// Rows of features, with class labels, targets, or no answers ([`task`](Self::task)).
///
/// There is at least one row, every feature and target is finite, and every label is below the
/// number of classes. Bytes are kept as bytes; what [`Images`] and [`Scaling`] say is done when a
/// row is read.
///
/// ```
/// use secateur::Batches;
/// use secateur::data::{Answers, Dataset, Task};
///
/// // Three rows of two features, and what is to be predicted of each.
/// let features = vec![0.5, 1.0, -2.0, 0.25, 3.0, 0.0];
/// let values = vec![1.5, -1.75, 3.0];
/// let data = Dataset::new("sums", &[2], features, Answers::Values { values, outputs: 1 })?;
/// assert_eq!((data.rows(), data.task()), (3, Task::Regression { outputs: 1 }));
///
/// let features = vec![0.5, 1.0, -2.0, 0.25, 3.0, 0.0];
/// let data = Dataset::new("signs", &[2], features, Answers::classes([1_u32, 0, 1], 2))?;
/// let batches = Batches::new(data, 2, Some(1))?;
/// # Ok::<(), secateur::Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Dataset {
    pub(super) name: String,
    /// Of a row as it is kept.
    pub(super) stored_shape: Vec<usize>,
    /// Of a row as it is read.
    pub(super) feature_shape: Vec<usize>,
    pub(super) rows: usize,
    pub(super) features: features::Stored,
    pub(super) beside: Option<Beside>,
    /// Whether features are the numbers of tokens, which no scaling may change.
    pub(super) tokens: bool,
    pub(super) task: Task,
    pub(super) answers: answers::Stored,
    pub(super) images: Option<Images>,
    pub(super) scaling: Option<Scaling>,
    pub(super) target_scaling: Option<Scaling>,
    pub(super) names: Arc<Names>,
}

impl Dataset {
    /// Takes rows of shape `feature_shape`: their features, and the answers of as many rows.
    ///
    /// # Errors
    /// [`Error::Argument`] for an empty shape or one with a 0, for no rows or more than `u32::MAX`,
    /// for a scale that is not positive and finite, for a feature or target that is not finite, for
    /// a token that no `f32` holds, for a label that is not below the number of classes, a flag
    /// outside 0 to 1, and for answers of another number of rows; [`Error::Shape`] when the
    /// features fill no whole number of rows.
    pub fn new(
        name: impl Into<String>,
        feature_shape: &[usize],
        features: impl Into<Features>,
        answers: impl Into<Answers>,
    ) -> Result<Self> {
        let (name, features, answers) = (name.into(), features.into(), answers.into());
        let width = feature_shape.iter().try_fold(1, |n: usize, &size| n.checked_mul(size));
        if feature_shape.is_empty() || width == Some(0) {
            let message = format!("{feature_shape:?}; give at least one size, each at least 1");
            return Err(Error::argument("feature_shape", message));
        }
        let (found, width) = (features.len(), width.unwrap_or(usize::MAX));
        if !found.is_multiple_of(width) {
            let message = format!(
                "{found} features are no whole number of rows of {feature_shape:?}, which have \
                 {width}; give every row as many"
            );
            return Err(Error::shape(name, message));
        }
        let rows = found / width;
        if rows == 0 || u32::try_from(rows).is_err() {
            let message = format!("{rows} rows; a data set has 1 to {}", u32::MAX);
            return Err(Error::argument("features", message));
        }
        let tokens = matches!(features, Features::Tokens(_));
        let features = features.stored(width)?;
        let (task, answers) = answers.stored(rows)?;
        Ok(Self {
            name,
            stored_shape: feature_shape.to_vec(),
            feature_shape: feature_shape.to_vec(),
            rows,
            features,
            beside: None,
            tokens,
            task,
            answers,
            images: None,
            scaling: None,
            target_scaling: None,
            names: Arc::default(),
        })
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

    /// Name of the data set, the same in both halves of a [`Split`](super::Split).
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Shape of one row, for instance `[28, 28]`.
    pub fn feature_shape(&self) -> &[usize] {
        &self.feature_shape
    }

    /// Number of rows, 1 to `u32::MAX`.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Features per row: the product of [`feature_shape`](Self::feature_shape).
    pub fn width(&self) -> usize {
        self.feature_shape.iter().product()
    }

    /// What the answers of a row are.
    pub fn task(&self) -> Task {
        self.task
    }

    /// What is done to the images, where the rows are such.
    pub fn images(&self) -> Option<&Images> {
        self.images.as_ref()
    }

    /// What is done to the features last, where they are scaled.
    pub fn scaling(&self) -> Option<&Scaling> {
        self.scaling.as_ref()
    }

    /// Class of row `i`, the first of its positions.
    ///
    /// # Panics
    /// When `i` is not below [`rows`](Self::rows), or the rows have no classes.
    pub fn label(&self, i: usize) -> u32 {
        self.answers.label(i * self.task.positions())
    }

    /// Classes of row `i`, one for each of its positions; none where the rows have no classes.
    ///
    /// # Panics
    /// When `i` is not below [`rows`](Self::rows).
    pub fn labels(&self, i: usize) -> impl ExactSizeIterator<Item = u32> + '_ {
        let positions = self.task.positions();
        (0..positions).map(move |position| self.answers.label(i * positions + position))
    }

    /// Targets of row `i` as they were given; none where the rows have classes or no answers.
    ///
    /// # Panics
    /// When `i` is not below [`rows`](Self::rows).
    pub fn targets(&self, i: usize) -> &[f32] {
        self.answers.targets(i, self.task.targets())
    }

    /// The first `n` rows, or all when there are fewer.
    ///
    /// # Errors
    /// [`Error::Argument`] when `n` is 0.
    pub fn head(&self, n: usize) -> Result<Self> {
        if n == 0 {
            return Err(Error::argument("head", "0 rows; a data set has at least 1"));
        }
        let rows: Vec<u32> = (0..self.rows.min(n) as u32).collect();
        Ok(self.select(&rows))
    }

    /// The rows of `rows`, in that order; they are some, and each is there.
    pub(super) fn select(&self, rows: &[u32]) -> Self {
        let width = self.stored_shape.iter().product::<usize>();
        let answers = self.task.positions().max(self.task.targets());
        Self {
            name: self.name.clone(),
            stored_shape: self.stored_shape.clone(),
            feature_shape: self.feature_shape.clone(),
            rows: rows.len(),
            features: self.features.select(rows, width),
            beside: self.beside.as_ref().map(|beside| beside.select(rows)),
            answers: self.answers.select(rows, answers),
            scaling: self.scaling.clone(),
            target_scaling: self.target_scaling.clone(),
            names: Arc::clone(&self.names),
            ..*self
        }
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("name", &self.name)
            .field("rows", &self.rows)
            .field("feature_shape", &self.feature_shape)
            .field("task", &self.task)
            .field("images", &self.images)
            .field("scaling", &self.scaling)
            .field("target_scaling", &self.target_scaling)
            .finish_non_exhaustive()
    }
}
