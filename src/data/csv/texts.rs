//! Tables with a text and a class in each row.
use std::path::Path;

use super::{malformed, read_table};
use crate::data::OpenOptions;
use crate::{Error, Result};
use ::csv::StringRecord;

/// The texts of a table, and the word that says the class of each.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    pub(crate) texts: Vec<String>,
    pub(crate) classes: Vec<String>,
}

impl Texts {
    /// Reads the table at `path`: the column that `options` name as the label, and the one that is
    /// left beside it and those to ignore.
    pub(crate) fn read(path: &Path, options: &OpenOptions) -> Result<Self> {
        let (mut reader, header) = read_table(path, options.no_header)?;
        let names = || header.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let Some(label) = &options.label else {
            let message = format!("name the column that holds the class of each text: {}", names());
            return Err(Error::argument("label", message));
        };
        let find = |name: &String| {
            let missing = || {
                let message = format!("has no column `{name}`; it has {}", names());
                Error::file(path, message)
            };
            header.iter().position(|other| other == name).ok_or_else(missing)
        };
        let label = find(label)?;
        let ignored = options.ignore.iter().map(find).collect::<Result<Vec<_>>>()?;
        let left = (0..header.len()).filter(|i| *i != label && !ignored.contains(i));
        let [text] = left.collect::<Vec<_>>()[..] else {
            let message = format!(
                "{} has the columns {}; one must be left for the text beside the label",
                path.display(),
                names()
            );
            return Err(Error::argument("ignore", message));
        };
        let (mut this, mut record) = (Self::default(), StringRecord::new());
        while reader.read_record(&mut record).map_err(|error| malformed(path, error))? {
            this.texts.push(record[text].to_owned());
            this.classes.push(record[label].to_owned());
        }
        if this.texts.is_empty() {
            return Err(Error::file(path, "has a line of names and no row; add rows below it"));
        }
        Ok(this)
    }
}
