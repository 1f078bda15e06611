//! What a model is given: the shape of the data's rows, and what is asked of them.
use crate::data::{BatchSource, Dataset, Schema, Task};

/// The rows that a model is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Of a row's features: `[width]`, `[height, width]`, `[height, width, channels]`, or
    /// `[length]` tokens.
    pub shape: Vec<usize>,
    /// What the model is to answer.
    pub task: Task,
}

impl Input {
    /// Rows of `width` features with one label each.
    pub fn flat(width: usize, classes: u32) -> Self {
        Self { shape: vec![width], task: Task::classification(classes) }
    }

    /// The rows that `batches` gives.
    pub fn of(batches: &(impl BatchSource + ?Sized)) -> Self {
        Self { shape: batches.shape().to_vec(), task: batches.task() }
    }
}

impl From<&Dataset> for Input {
    fn from(data: &Dataset) -> Self {
        Self { shape: data.feature_shape().to_vec(), task: data.task() }
    }
}

impl From<&Schema> for Input {
    fn from(schema: &Schema) -> Self {
        Self { shape: schema.shape.clone(), task: schema.task }
    }
}
