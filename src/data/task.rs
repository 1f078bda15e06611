//! What the rows of a data set ask of a model.
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the answers of a row are.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Task {
    /// One of several classes, which exclude each other, at each position of a row.
    Classification {
        /// Number of classes; labels are below it.
        classes: u32,
        /// Labels of a row: 1, or one for each position of a sequence.
        positions: usize,
    },
    /// Several labels at once, none of which excludes another: a target of 0 to 1 for each.
    MultiLabel {
        /// Number of labels.
        labels: usize,
    },
    /// Numbers: a target of any finite value for each.
    Regression {
        /// Number of values of a row.
        outputs: usize,
    },
    /// The rows have no answers: a model can be applied to them, and neither trained nor evaluated.
    #[default]
    Unlabelled,
}

impl Task {
    /// One label a row, of `classes` classes.
    pub fn classification(classes: u32) -> Self {
        Self::Classification { classes, positions: 1 }
    }

    /// Labels of a row; 0 where the rows have no classes.
    pub fn positions(&self) -> usize {
        match *self {
            Self::Classification { positions, .. } => positions,
            _ => 0,
        }
    }

    /// Number of classes, where the rows have some.
    pub fn classes(&self) -> Option<u32> {
        match *self {
            Self::Classification { classes, .. } => Some(classes),
            _ => None,
        }
    }

    /// Targets of a row, which are `f32`; 0 where the rows have classes or no answers.
    pub fn targets(&self) -> usize {
        match *self {
            Self::MultiLabel { labels } => labels,
            Self::Regression { outputs } => outputs,
            Self::Classification { .. } | Self::Unlabelled => 0,
        }
    }
}

/// As errors say it: `classification into 10 classes`.
impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Classification { classes, positions: 1 } => {
                write!(f, "classification into {classes} classes")
            }
            Self::Classification { classes, positions } => {
                write!(f, "classification into {classes} classes at {positions} positions of a row")
            }
            Self::MultiLabel { labels } => {
                write!(f, "multi-label classification by {labels} labels")
            }
            Self::Regression { outputs: 1 } => write!(f, "regression of 1 value"),
            Self::Regression { outputs } => write!(f, "regression of {outputs} values"),
            Self::Unlabelled => write!(f, "rows without answers"),
        }
    }
}
