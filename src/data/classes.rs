//! Names of classes as numbers.
use super::Schema;
use std::collections::HashMap;

/// The classes of rows that are read one by one, or the words of a column.
pub(super) struct Classes {
    /// What one of them is called in errors.
    what: &'static str,
    /// By a schema their names, which may be none, and how many there are.
    known: Option<(Vec<String>, u32)>,
    /// In the order of their first rows, or by a schema all that there are.
    numbers: HashMap<String, u32>,
    labels: Vec<u32>,
}

impl Classes {
    pub(super) fn new(schema: Option<&Schema>) -> Self {
        let known = |s: &Schema| (s.class_names.clone(), s.task.classes().unwrap_or(0));
        Self::of("class", schema.map(known))
    }

    /// The words of a column, among `known` ones where a model knows them.
    pub(super) fn words(known: Option<&[String]>) -> Self {
        Self::of("word", known.map(|words| (words.to_vec(), words.len() as u32)))
    }

    fn of(what: &'static str, known: Option<(Vec<String>, u32)>) -> Self {
        let names = known.iter().flat_map(|(names, _)| names);
        let numbers = names.cloned().zip(0..).collect();
        Self { what, known, numbers, labels: Vec::new() }
    }

    /// Adds the class of a row, or says what is wrong with it.
    pub(super) fn push(&mut self, name: &str) -> Result<(), String> {
        if name.is_empty() {
            return Err("is empty; fill it in or remove the row".into());
        }
        // A whole number is a class however it is written.
        let name = whole(name).map_or_else(|| name.to_owned(), |number| number.to_string());
        let what = self.what;
        let label = match (self.numbers.get(&name), &self.known) {
            (Some(&label), _) => label,
            (None, None) => {
                let label = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
                self.numbers.insert(name, label);
                label
            }
            (None, Some((names, count))) if names.is_empty() => {
                name.parse().ok().filter(|label: &u32| label < count).ok_or_else(|| {
                    format!("{what} `{name}` is not one of the {count} that the model knows")
                })?
            }
            (None, Some((names, _))) => {
                let known = names.join(", ");
                return Err(format!("{what} `{name}` is not one that the model knows ({known})"));
            }
        };
        self.labels.push(label);
        Ok(())
    }

    /// The labels of all rows and the number of classes; their names go to `names`, sorted, by
    /// value where all are whole numbers.
    pub(super) fn finish(mut self, names: &mut Vec<String>) -> (Vec<u32>, u32) {
        if let Some((known, count)) = self.known {
            *names = known;
            return (self.labels, count);
        }
        names.extend(self.numbers.keys().cloned());
        if names.iter().all(|name| whole(name).is_some()) {
            names.sort_by_key(|name| whole(name));
        } else {
            names.sort();
        }
        let mut sorted = vec![0; names.len()];
        for (place, name) in (0..).zip(&*names) {
            sorted[self.numbers[name] as usize] = place;
        }
        self.labels.iter_mut().for_each(|label| *label = sorted[*label as usize]);
        (self.labels, names.len() as u32)
    }
}

fn whole(name: &str) -> Option<i64> {
    name.parse().ok()
}
