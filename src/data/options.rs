//! How data sets are opened by name.
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How a data set is opened ([`open`](super::open), [`open_rows`](super::open_rows)). What does not
/// apply to its kind is refused by name.
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenOptions {
    /// Characters in a window of a text; 64 where nothing says how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<usize>,
    /// The column that holds the class of a row; of `npz` and `safetensors` the array, of `npy` the
    /// file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The columns that hold what is to be predicted; of `npz` and `safetensors` the array, of
    /// `npy` the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// Whether the targets are labels that a row has (1) or has not (0).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub multi_label: bool,
    /// Columns of a table that are neither features nor answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Columns of a table that hold words: each word becomes a feature of its own, which is 1 in the
    /// rows that have it and 0 in the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Whether the first line of a table is a row; its columns are called `column_1` and so on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_header: bool,
    /// Whether rows of a table that lack a value are left out; otherwise they are an error. Such a
    /// cell is empty, or says `NA`, `N/A`, `NaN`, `null` or `?`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub drop_missing: bool,
    /// The share of the rows to test on, like `0.2`, which is the default; or a second file or
    /// folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<String>,
    /// Height and width that images are brought to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
    /// Whether features, and targets of a regression, are brought to mean 0 and deviation 1
    /// ([`Scaling::of`](super::Scaling::of) and
    /// [`Scaling::of_targets`](super::Scaling::of_targets) the training rows).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub standardise: bool,
    /// Seed of the choice of rows to test on.
    #[serde(skip_serializing_if = "is_zero")]
    pub split_seed: u64,
}

/// What `test` asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Share(f64),
    Second(PathBuf),
}

impl OpenOptions {
    /// The window of a text.
    pub(super) fn window(&self) -> usize {
        self.length.unwrap_or(64)
    }

    pub(super) fn test(&self) -> Test {
        match self.test.as_deref().map(|test| (test, test.parse())) {
            None => Test::Share(0.2),
            Some((_, Ok(share))) => Test::Share(share),
            Some((path, Err(_))) => Test::Second(path.into()),
        }
    }

    /// That only options of `allowed` are set, for data called `name`.
    pub(super) fn only(&self, allowed: &[&str], name: &str) -> Result<()> {
        let set = [
            ("length", self.length.is_some()),
            ("label", self.label.is_some()),
            ("targets", !self.targets.is_empty()),
            ("multi_label", self.multi_label),
            ("ignore", !self.ignore.is_empty()),
            ("categories", !self.categories.is_empty()),
            ("no_header", self.no_header),
            ("drop_missing", self.drop_missing),
            ("test", self.test.is_some()),
            ("size", self.size.is_some()),
            ("standardise", self.standardise),
            ("split_seed", self.split_seed != 0),
        ];
        let wrong = set.into_iter().find(|(option, set)| *set && !allowed.contains(option));
        let Some((option, _)) = wrong else { return Ok(()) };
        let takes = match allowed {
            [] => "no option".to_owned(),
            allowed => allowed.join(", "),
        };
        let message = format!("does not apply to {name}, which takes {takes}; leave it out");
        Err(Error::argument(option, message))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
