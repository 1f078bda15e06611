//! Rows to train on, and rows to test on.
use super::Dataset;
use std::sync::Arc;

/// A data set in two halves that share no row and agree in name, shape, task and scaling.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// Rows to train on.
    pub train: Arc<Dataset>,
    /// Rows to evaluate on.
    pub test: Arc<Dataset>,
}
