//! How data sets are opened by name.
use crate::settings::{Settings, settings};
use crate::{Error, Result};
use std::path::PathBuf;

settings! {
    /// How a data set is opened ([`open`](super::open), [`open_rows`](super::open_rows)). What does
    /// not apply to its kind is refused by name. Command lines have each as an option.
    #[derive(Default)]
    pub struct OpenOptions;
    needed {}
    optional {
        /// Of a text, characters in a window; 64 where nothing says how many.
        length: Option<usize>, option;
        /// The column that holds the class of each row; of `npz` and `safetensors` the array, of
        /// `npy` the file.
        label: Option<String>, option;
        /// The columns that hold the numbers to predict, separated by commas; of `npz` and
        /// `safetensors` the array, of `npy` the file.
        targets: Vec<String>, option;
        /// The targets are labels that a row has (1) or has not (0), several at once.
        multi_label: bool, option;
        /// Columns of a table that are neither features nor answers, separated by commas.
        ignore: Vec<String>, option;
        /// Columns of a table that hold words, separated by commas: each word becomes a feature of
        /// its own, which is 1 in the rows that have it and 0 in the others.
        categories: Vec<String>, option;
        /// The first line of a table is a row; its columns are called column_1, column_2 and so on.
        no_header: bool, option;
        /// Leave out the rows of a table that lack a value (empty, NA, N/A, NaN, null, ?), which
        /// are an error otherwise.
        drop_missing: bool, option;
        /// What to test on: a share of the rows like 0.2, which is the default, or a second file or
        /// folder.
        test: Option<String>, option;
        /// Height and width that images are brought to, like 32x32.
        size: Option<[usize; 2]>, option;
        /// Bring each feature (of images each channel) and each target of a regression to mean 0
        /// and deviation 1 by the training rows; kept with the model, whose predictions are in the
        /// units of the data.
        standardise: bool, option;
        /// Seed of the choice of rows to test on.
        split_seed: u64, option;
    }
    also {}
}

/// What `test` asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Test {
    Share(f64),
    Second(PathBuf),
}

impl OpenOptions {
    /// The window of a text.
    pub(super) fn window(&self) -> usize {
        self.length.unwrap_or(64)
    }

    pub(crate) fn tested_on(&self) -> Test {
        match self.test.as_deref().map(|test| (test, test.parse())) {
            None => Test::Share(0.2),
            Some((_, Ok(share))) => Test::Share(share),
            Some((path, Err(_))) => Test::Second(path.into()),
        }
    }

    /// That only options of `allowed` are set, for data called `name`.
    pub(crate) fn only(&self, allowed: &[&str], name: &str) -> Result<()> {
        let changed = self.changed();
        let Some(&option) = changed.iter().find(|option| !allowed.contains(option)) else {
            return Ok(());
        };
        let takes = match allowed {
            [] => "no option".to_owned(),
            allowed => allowed.join(", "),
        };
        let message = format!("does not apply to {name}, which takes {takes}; leave it out");
        Err(Error::argument(option, message))
    }
}
