//! The classes that a model tells apart, and folders that are named as they are.
use std::collections::BTreeMap;

use serde::Serialize;

use super::architectures::Answer;
use super::model::Pretrained;
use crate::{Error, Result};

/// How many names an error lists.
const LISTED: usize = 5;

/// Numbers of a model's classes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Matched {
    /// Of each name the class.
    pub classes: Vec<u32>,
    /// What they were found by.
    pub by: MatchedBy,
}

/// What says which class a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchedBy {
    /// The class is called so.
    Name,
    /// It is the number of the class.
    Number,
    /// Its place among the names: there are as many as classes.
    Order,
}

impl Pretrained {
    /// Names of its classes, `id2label` of transformers, where they are `LABEL_0` and so on unless
    /// it says otherwise, or `label_names` of timm; empty where these do not name all.
    pub fn class_names(&self) -> Vec<String> {
        let Answer::Class { classes } = self.architecture().answer() else { return Vec::new() };
        let settings = self.config().settings();
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let names: Option<Vec<String>> =
            match (settings.get("id2label"), settings.get("label_names")) {
                (Some(names), _) if names.is_object() => {
                    (0..classes).map(|i| names.get(i.to_string()).and_then(text)).collect()
                }
                (None, Some(serde_json::Value::Array(names))) => names.iter().map(text).collect(),
                _ if settings.contains_key("model_type") => {
                    Some((0..classes).map(|i| format!("LABEL_{i}")).collect())
                }
                _ => None,
            };
        names.filter(|names| names.len() == classes as usize).unwrap_or_default()
    }

    /// The classes called `names`, as folders of pictures and columns of tables have them. A name fits where it is the
    /// class's, or one of those that the class has between commas, whatever its case and whether
    /// words are parted by spaces, lines or dots; a number of WordNet in front of either (n01440764)
    /// may be left out. Where no name fits any class, they may be the numbers of classes, or, where
    /// there are as many as classes, these in their order.
    ///
    /// # Errors
    /// [`Error::Argument`] for names that fit no class or several, and for two of one class.
    pub fn classes_called(&self, names: &[String]) -> Result<Matched> {
        let wrong = |message: String| Err(Error::argument("data", message));
        let Answer::Class { classes } = self.architecture().answer() else {
            return wrong(format!("{} tells no classes apart", self.path().display()));
        };
        let known = self.class_names();
        let described = |name: &String| {
            let of = self.config().settings().get("label_descriptions");
            of.and_then(|of| of.get(name)?.as_str()).map(str::to_owned)
        };
        let forms = known.iter().map(|name| {
            let mut forms = forms(name);
            forms.extend(described(name).iter().flat_map(|text| self::forms(text)));
            forms
        });
        let forms: Vec<Vec<String>> = forms.collect();
        let find = |name: &String| -> Vec<u32> {
            let own = self::forms(name);
            let exact = known.iter().positions(name);
            let fits = |of: &Vec<String>| of.iter().any(|form| own.contains(form));
            let all = forms.iter().enumerate().filter(|(_, of)| fits(of));
            if exact.len() == 1 { exact } else { all.map(|(i, _)| i as u32).collect() }
        };
        let found: Vec<Vec<u32>> = names.iter().map(find).collect();
        if found.iter().all(Vec::is_empty) {
            let number = |name: &String| name.parse().ok().filter(|&n: &u32| n < classes);
            if let Some(numbers) = names.iter().map(number).collect() {
                return Ok(Matched { classes: numbers, by: MatchedBy::Number });
            }
            if names.len() == classes as usize {
                return Ok(Matched { classes: (0..classes).collect(), by: MatchedBy::Order });
            }
        }
        let mut taken = BTreeMap::new();
        for (name, found) in names.iter().zip(&found) {
            match found[..] {
                [class] => {
                    if let Some(other) = taken.insert(class, name) {
                        let of = &known[class as usize];
                        return wrong(format!(
                            "`{other}` and `{name}` are both the model's class {class} ({of}); join \
                             them"
                        ));
                    }
                }
                [] => {
                    return wrong(format!(
                        "`{name}` is called like none of the model's {classes} classes ({}); use \
                         their names or their numbers, or, for all {classes}, names of your own",
                        listed(&known)
                    ));
                }
                [one, two, ..] => {
                    return wrong(format!(
                        "`{name}` is called like the model's classes {one} ({}) and {two} ({}); \
                         give it the whole name of one",
                        known[one as usize], known[two as usize]
                    ));
                }
            }
        }
        Ok(Matched { classes: found.into_iter().flatten().collect(), by: MatchedBy::Name })
    }
}

/// Where a name is.
trait Positions<'a> {
    fn positions(self, name: &str) -> Vec<u32>;
}

impl<'a, I: Iterator<Item = &'a String>> Positions<'a> for I {
    fn positions(self, name: &str) -> Vec<u32> {
        self.enumerate().filter(|(_, other)| *other == name).map(|(i, _)| i as u32).collect()
    }
}

fn listed(names: &[String]) -> String {
    let more = if names.len() > LISTED { ", ..." } else { "" };
    let first = names[..names.len().min(LISTED)].join(", ");
    if first.is_empty() { "config.json does not name them".to_owned() } else { first + more }
}

/// What a class may be called by one who means `name`.
fn forms(name: &str) -> Vec<String> {
    let is_number = |word: &&str| {
        word.strip_prefix('n')
            .is_some_and(|w| w.len() == 8 && w.bytes().all(|b| b.is_ascii_digit()))
    };
    let plain = |text: &str| {
        let parts = text.split(|c: char| c.is_whitespace() || "_-.".contains(c));
        parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ").to_lowercase()
    };
    let whole = plain(name);
    let number = whole.split(' ').next().filter(is_number).map(str::to_owned);
    let rest = match &number {
        Some(number) => whole[number.len()..].trim_start().to_owned(),
        None => whole.clone(),
    };
    let parts = rest.split(',').map(|part| part.trim().to_owned());
    let all = [rest.clone()].into_iter().chain(parts).chain(number);
    all.filter(|form| !form.is_empty()).collect()
}
