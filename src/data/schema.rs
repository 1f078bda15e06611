//! What a model must know of the rows that it was trained on.
use super::{Dataset, Scaling, Task};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What the rows of a data set are, without the rows: kept with a model, it says how other rows are
/// to be read for it.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// Of a row's features as they are read.
    pub shape: Vec<usize>,
    /// What the answers of a row are.
    pub task: Task,
    /// By what features are scaled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scaling: Option<Scaling>,
    /// By what the targets of a regression are scaled, which predictions are scaled back by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_scaling: Option<Scaling>,
    /// Names of the features, in their order; empty where they have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// The columns of words, whose words became a feature each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<Category>,
    /// Names of the columns that hold targets, or of the one that holds the label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// Names of the classes, by number; empty where they have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// Of a text, the characters that tokens are the numbers of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alphabet: Option<String>,
}

/// A column of words. Feature `column=word` of a row is 1 where the row has that word, else 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Category {
    /// Its name.
    pub column: String,
    /// All words that it may hold, in the order of their features.
    pub words: Vec<String>,
}

/// The names of a data set, the same in all of its parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Names {
    pub(super) columns: Vec<String>,
    pub(super) categories: Vec<Category>,
    pub(super) targets: Vec<String>,
    pub(super) classes: Vec<String>,
    pub(super) alphabet: Option<Arc<[char]>>,
}

impl Dataset {
    /// What a model must know of these rows.
    pub fn schema(&self) -> Schema {
        let Names { columns, categories, targets, classes, alphabet } = &*self.names;
        Schema {
            shape: self.feature_shape().to_vec(),
            task: self.task(),
            scaling: self.scaling().cloned(),
            target_scaling: self.target_scaling().cloned(),
            columns: columns.clone(),
            categories: categories.clone(),
            targets: targets.clone(),
            class_names: classes.clone(),
            alphabet: alphabet.as_ref().map(|alphabet| alphabet.iter().collect()),
        }
    }

    /// Names the features, in their order.
    ///
    /// # Errors
    /// [`Error::Argument`] for another number of names than features.
    pub fn with_columns(mut self, columns: Vec<String>) -> Result<Self> {
        count("columns", columns.len(), self.width(), "features")?;
        Arc::make_mut(&mut self.names).columns = columns;
        Ok(self)
    }

    /// Says which of the features are the words of a column.
    pub(super) fn with_categories(mut self, categories: Vec<Category>) -> Self {
        Arc::make_mut(&mut self.names).categories = categories;
        self
    }

    /// Names the targets of a row, or the label.
    ///
    /// # Errors
    /// [`Error::Argument`] for another number of names than targets; of classes there is one, the
    /// label's, and of rows without answers none.
    pub fn with_target_names(mut self, targets: Vec<String>) -> Result<Self> {
        let has = match self.task() {
            Task::Classification { .. } => 1,
            task => task.targets(),
        };
        count("targets", targets.len(), has, "targets")?;
        Arc::make_mut(&mut self.names).targets = targets;
        Ok(self)
    }

    /// Names the classes, by number.
    ///
    /// # Errors
    /// [`Error::Argument`] for another number of names than classes.
    pub fn with_class_names(mut self, names: Vec<String>) -> Result<Self> {
        count("class_names", names.len(), self.task().classes().unwrap_or(0) as usize, "classes")?;
        Arc::make_mut(&mut self.names).classes = names;
        Ok(self)
    }

    /// Names of the classes by number, where they have names.
    pub fn class_names(&self) -> &[String] {
        &self.names.classes
    }

    /// Whether the rows are windows of a text, each going on where the one before ends.
    pub fn is_text(&self) -> bool {
        self.names.alphabet.is_some()
    }

    /// Of a text, the characters that features and labels are the numbers of.
    pub fn alphabet(&self) -> Option<&[char]> {
        self.names.alphabet.as_deref()
    }
}

fn count(name: &str, names: usize, things: usize, what: &str) -> Result<()> {
    if names == things {
        return Ok(());
    }
    let message = format!("{names} names for {things} {what}; give one for each");
    Err(Error::argument(name, message))
}
