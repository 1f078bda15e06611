//! What differs between two recipes.
use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::Recipe;
use crate::settings::Settings;

/// A setting that two recipes have otherwise.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its name in files, like `pruning.target_sparsity`.
    pub name: String,
    /// Its value in the first recipe; `None` where it has none.
    pub was: Option<String>,
    /// Its value in the second one.
    pub is: Option<String>,
    /// Whether a run stays the same run where this is changed: how long it runs, what it saves.
    pub keeps_run: bool,
}

/// As messages say it: `optimizer.lr 0.0005 -> 0.002`.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        write!(f, "{} {} -> {}", self.name, said(&self.was), said(&self.is))
    }
}

/// Settings that change nothing of what a run comes to.
const BESIDES: [&str; 7] = [
    "recompute",
    "trace_every_n_steps",
    "save_secs",
    "save_steps",
    "eval_steps",
    // Folders are told by their weights.
    "init.folder",
    "distill.folder",
];

impl Recipe {
    /// Tells recipes apart that come to different results, as 16 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        let decides = |(name, _): &(String, String)| !BESIDES.contains(&name.as_str());
        let lines = settings(self).into_iter().filter(decides);
        let text: String = lines.map(|(name, value)| format!("{name}={value}\n")).collect();
        format!("{:016x}", xxh3_64(text.as_bytes()))
    }

    /// What `other` has otherwise, by name.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let (mut was, mut is) = (settings(self), settings(other));
        // Where one is not pruned at all, the other's pruning is one thing.
        if self.pruning.is_some() != other.pruning.is_some() {
            for (all, recipe) in [(&mut was, self), (&mut is, other)] {
                all.retain(|name, _| !name.starts_with("pruning."));
                all.extend(recipe.pruning.as_ref().map(|p| ("pruning".to_owned(), p.to_string())));
            }
        }
        let mut pairs: BTreeMap<String, [Option<String>; 2]> = BTreeMap::new();
        for (name, value) in was {
            let other = is.remove(&name);
            pairs.insert(name, [Some(value), other]);
        }
        pairs.extend(is.into_iter().map(|(name, value)| (name, [None, Some(value)])));
        let differs = pairs.into_iter().filter(|(_, [was, is])| was != is);
        differs
            .map(|(name, [was, is])| {
                let first = name.split('.').next().unwrap_or(&name);
                let setting = Self::LIST.iter().find(|setting| setting.name == first);
                // A folder is told by its weights, wherever it is.
                let both = |of: fn(&Self) -> bool| of(self) && of(other);
                let moved = match &*name {
                    "init.folder" => both(|recipe| recipe.init.is_some()),
                    "distill.folder" => both(|recipe| recipe.distill.is_some()),
                    _ => false,
                };
                let keeps_run = moved || setting.is_some_and(|setting| setting.keeps_run);
                Difference { name, was, is, keeps_run }
            })
            .collect()
    }
}

/// Every value of the recipe's file, by its name and those of the tables that it is in.
fn settings(recipe: &Recipe) -> BTreeMap<String, String> {
    fn walk(name: &str, value: Value, all: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(fields) => fields.into_iter().for_each(|(field, value)| {
                let name = if name.is_empty() { field } else { format!("{name}.{field}") };
                walk(&name, value, all);
            }),
            Value::Null => {}
            Value::String(text) => drop(all.insert(name.to_owned(), text)),
            other => drop(all.insert(name.to_owned(), other.to_string())),
        }
    }
    let mut all = BTreeMap::new();
    // By way of text, in which an f32 has the digits that people gave it.
    let text = serde_json::to_string(recipe).unwrap_or_default();
    walk("", serde_json::from_str(&text).unwrap_or_default(), &mut all);
    all
}
