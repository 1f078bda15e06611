//! What the columns of a table are for, and the features that they become.
use super::super::schema::Category;
use super::super::{OpenOptions, Schema, Task};
use crate::{Error, Result};
use ::csv::StringRecord;
use std::path::Path;

/// Where the features of a row come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feature {
    /// The number in a column.
    Number(usize),
    /// The word in a column, of list number `list`: a feature for each of its words, which is 1 for
    /// the one that is there and 0 for the others.
    Words { column: usize, list: usize },
}

impl Feature {
    fn column(self) -> usize {
        match self {
            Self::Number(column) | Self::Words { column, .. } => column,
        }
    }
}

/// What each column is for, by its place in the file.
pub(super) struct Columns<'s> {
    /// In the order of a row.
    pub(super) features: Vec<Feature>,
    pub(super) label: Option<usize>,
    pub(super) targets: Vec<usize>,
    /// Whether targets are flags.
    pub(super) flags: bool,
    /// The words of each list, where a model knows them.
    lists: Lists<'s>,
}

impl<'s> Columns<'s> {
    pub(super) fn of(
        path: &Path,
        header: &StringRecord,
        options: &OpenOptions,
        schema: Option<&'s Schema>,
    ) -> Result<Self> {
        if options.label.is_some() && !options.targets.is_empty() {
            let message = "cannot be given beside `targets`; a row has a class or targets";
            return Err(Error::argument("label", message));
        }
        if options.multi_label && options.targets.is_empty() {
            let message = "needs `targets`: the columns that hold the flags";
            return Err(Error::argument("multi_label", message));
        }
        let all = header.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let find = |name: &str| header.iter().position(|other| other == name);
        let needed = |name: &str| {
            let missing = || Error::file(path, format!("has no column `{name}`; it has {all}"));
            find(name).ok_or_else(missing)
        };
        let (mut label, mut targets) = (None, Vec::new());
        let flags = match schema.map(|schema| (schema, schema.task)) {
            None => {
                label = options.label.as_deref().map(needed).transpose()?;
                targets =
                    options.targets.iter().map(|name| needed(name)).collect::<Result<Vec<_>>>()?;
                options.multi_label
            }
            Some((schema, Task::Classification { .. })) => {
                let name = schema.targets.first().or(options.label.as_ref());
                label = name.and_then(|name| find(name));
                false
            }
            Some((schema, task)) => {
                let known = !schema.targets.is_empty();
                let names = if known { &schema.targets } else { &options.targets };
                // All of them, or none: rows to predict.
                if names.iter().any(|name| find(name).is_some()) {
                    targets = names.iter().map(|name| needed(name)).collect::<Result<Vec<_>>>()?;
                }
                matches!(task, Task::MultiLabel { .. })
            }
        };
        for (i, target) in targets.iter().enumerate() {
            if targets[..i].contains(target) {
                let message = format!("`{}` is named twice; name it once", &header[*target]);
                return Err(Error::argument("targets", message));
            }
        }
        let answers = |column: &usize| label == Some(*column) || targets.contains(column);
        let mut ignored = Vec::new();
        for name in &options.ignore {
            // Rows to predict may lack what training ignored.
            match (find(name), schema) {
                (Some(column), _) if answers(&column) => {
                    let message = format!("`{name}` is the label or a target; it cannot be both");
                    return Err(Error::argument("ignore", message));
                }
                (Some(column), _) => ignored.push(column),
                (None, Some(_)) => {}
                (None, None) => {
                    needed(name)?;
                }
            }
        }
        let is_rest = |column: &usize| !answers(column) && !ignored.contains(column);
        let rest: Vec<usize> = (0..header.len()).filter(is_rest).collect();
        let known = schema.filter(|schema| !schema.columns.is_empty()).map(sources);
        let (features, lists) = match known {
            None => of_options(options, rest, needed)?,
            Some((names, lists)) => {
                let is_known = |column: &&usize| names.iter().any(|(n, _)| **n == header[**column]);
                if let Some(&column) = rest.iter().find(|column| !is_known(column)) {
                    let message = format!(
                        "column `{}` is not one that the model was trained on; `ignore` it, or \
                         remove it (it knows {})",
                        &header[column],
                        names.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
                    );
                    return Err(Error::file(path, message));
                }
                let feature = |&(name, list): &(&str, Option<usize>)| {
                    needed(name).map(|column| match list {
                        Some(list) => Feature::Words { column, list },
                        None => Feature::Number(column),
                    })
                };
                (names.iter().map(feature).collect::<Result<_>>()?, lists)
            }
        };
        if features.is_empty() {
            let message = format!("has no column of features beside {all}; add some");
            return Err(Error::file(path, message));
        }
        Ok(Self { features, label, targets, flags, lists })
    }

    /// All that are read.
    pub(super) fn used(&self) -> impl Iterator<Item = usize> + '_ {
        let features = self.features.iter().map(|feature| feature.column());
        features.chain(self.label).chain(self.targets.iter().copied())
    }

    /// The words of each list, where a model knows them.
    pub(super) fn words(&self) -> impl Iterator<Item = Option<&'s [String]>> + '_ {
        self.lists.iter().copied()
    }

    /// All features of all rows, and their names: `numbers` are those of a number, row by row, and
    /// `lists` have the word of each row and all words.
    pub(super) fn spread(
        &self,
        numbers: Vec<f32>,
        lists: &[(Vec<u32>, Vec<String>)],
        header: &StringRecord,
    ) -> (Vec<f32>, Vec<String>) {
        let names = self.features.iter().flat_map(|feature| match *feature {
            Feature::Number(column) => vec![header[column].to_owned()],
            Feature::Words { column, list } => {
                lists[list].1.iter().map(|word| named(&header[column], word)).collect()
            }
        });
        let names: Vec<String> = names.collect();
        let Some((first, _)) = lists.first() else { return (numbers, names) };
        let mut spread = Vec::with_capacity(first.len() * names.len());
        let mut numbers = numbers.into_iter();
        for row in 0..first.len() {
            for feature in &self.features {
                match *feature {
                    Feature::Number(_) => spread.extend(numbers.next()),
                    Feature::Words { list, .. } => {
                        let (words, all) = &lists[list];
                        let is = |word: usize| f32::from(u8::from(words[row] as usize == word));
                        spread.extend((0..all.len()).map(is));
                    }
                }
            }
        }
        (spread, names)
    }

    /// What a schema keeps of the lists.
    pub(super) fn categories(
        &self,
        lists: &[(Vec<u32>, Vec<String>)],
        header: &StringRecord,
    ) -> Vec<Category> {
        let category = |feature: &Feature| match *feature {
            Feature::Number(_) => None,
            Feature::Words { column, list } => {
                Some(Category { column: header[column].to_owned(), words: lists[list].1.clone() })
            }
        };
        self.features.iter().filter_map(category).collect()
    }
}

/// The words of each list, where a model knows them.
type Lists<'s> = Vec<Option<&'s [String]>>;

/// The features that `options` make of the columns `rest`.
fn of_options<'s>(
    options: &OpenOptions,
    rest: Vec<usize>,
    needed: impl Fn(&str) -> Result<usize>,
) -> Result<(Vec<Feature>, Lists<'s>)> {
    let mut of_words = Vec::new();
    for name in &options.categories {
        let column = needed(name)?;
        if !rest.contains(&column) {
            let message = format!("`{name}` is the label, a target or ignored; it is no feature");
            return Err(Error::argument("categories", message));
        }
        of_words.push(column);
    }
    let mut lists = Vec::new();
    let features = rest.into_iter().map(|column| {
        if !of_words.contains(&column) {
            return Feature::Number(column);
        }
        lists.push(None);
        Feature::Words { column, list: lists.len() - 1 }
    });
    Ok((features.collect(), lists))
}

/// The columns that the features of `schema` came from, with their lists.
fn sources(schema: &Schema) -> (Vec<(&str, Option<usize>)>, Lists<'_>) {
    let (mut names, mut lists) = (Vec::new(), Vec::new());
    let mut columns = schema.columns.iter();
    while let Some(name) = columns.next() {
        let begins = |c: &&Category| c.words.first().is_some_and(|w| named(&c.column, w) == *name);
        match schema.categories.iter().find(begins) {
            Some(Category { column, words }) => {
                names.push((column.as_str(), Some(lists.len())));
                lists.push(Some(words.as_slice()));
                columns.by_ref().take(words.len() - 1).for_each(drop);
            }
            None => names.push((name.as_str(), None)),
        }
    }
    (names, lists)
}

/// The name of the feature of a word.
fn named(column: &str, word: &str) -> String {
    format!("{column}={word}")
}
