//! Names of classes as numbers.
use super::Schema;
use std::collections::HashMap;

/// The classes of rows that are read one by one.
pub(super) struct Classes<'a> {
    schema: Option<&'a Schema>,
    /// In the order of their first rows, or by a schema all that there are.
    numbers: HashMap<String, u32>,
    labels: Vec<u32>,
}

impl<'a> Classes<'a> {
    pub(super) fn new(schema: Option<&'a Schema>) -> Self {
        let known = schema.map_or(&[][..], |schema| &schema.class_names);
        let numbers = known.iter().cloned().zip(0..).collect();
        Self { schema, numbers, labels: Vec::new() }
    }

    /// Adds the class of a row, or says what is wrong with it.
    pub(super) fn push(&mut self, name: &str) -> Result<(), String> {
        if name.is_empty() {
            return Err("is empty; fill it in or remove the row".into());
        }
        // A whole number is a class however it is written.
        let name = whole(name).map_or_else(|| name.to_owned(), |number| number.to_string());
        let label = match (self.numbers.get(&name), self.schema) {
            (Some(&label), _) => label,
            (None, None) => {
                let label = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX);
                self.numbers.insert(name, label);
                label
            }
            (None, Some(schema)) if schema.class_names.is_empty() => {
                let classes = schema.task.classes().unwrap_or(0);
                name.parse().ok().filter(|&label: &u32| label < classes).ok_or_else(|| {
                    format!("class `{name}` is not one of the {classes} that the model knows")
                })?
            }
            (None, Some(schema)) => {
                let known = schema.class_names.join(", ");
                return Err(format!("class `{name}` is not one that the model knows ({known})"));
            }
        };
        self.labels.push(label);
        Ok(())
    }

    /// The labels of all rows and the number of classes; their names go to `names`, sorted, by
    /// value where all are whole numbers.
    pub(super) fn finish(mut self, names: &mut Vec<String>) -> (Vec<u32>, u32) {
        if let Some(schema) = self.schema {
            names.clone_from(&schema.class_names);
            return (self.labels, schema.task.classes().unwrap_or(0));
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
