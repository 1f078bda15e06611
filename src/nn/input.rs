//! What a model is given: the shape of the data's rows.
use crate::data::{BatchSource, Dataset};

/// The rows that a model is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Of a row's features: `[width]`, `[height, width]`, `[height, width, channels]`, or `[length]` tokens.
    pub shape: Vec<usize>,
    /// Labels of a row.
    pub places: usize,
    /// Labels are below this, and so are tokens.
    pub classes: u32,
}

impl Input {
    /// Rows of `width` features with one label each.
    pub fn flat(width: usize, classes: u32) -> Self {
        Self { shape: vec![width], places: 1, classes }
    }

    /// The rows that `batches` gives.
    pub fn of(batches: &(impl BatchSource + ?Sized)) -> Self {
        let (shape, task) = (batches.shape().to_vec(), batches.task());
        Self { shape, places: task.positions(), classes: task.classes().unwrap_or(0) }
    }
}

impl From<&Dataset> for Input {
    fn from(data: &Dataset) -> Self {
        let (shape, task) = (data.feature_shape().to_vec(), data.task());
        Self { shape, places: task.positions(), classes: task.classes().unwrap_or(0) }
    }
}
