//! Upstream's string form of a spec: `target_sparsity=0.9,do_not_prune=[fc3,embed]`.
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::{DeserializeOwned, IntoDeserializer, value::Error as ChoiceError};

use super::choice::{Budget, Regrow, Schedule, Scope, Threshold};
use super::entries::{BlockDims, Group, TensorTarget};
use super::lists;
use super::pattern::Pattern;
use super::score::Score;
use super::spec::{FIELDS, PruningSpec};
use crate::kernels::{BlockPooling, Pruned};
use crate::{Error, Result};

/// Reads `name=value` entries parted by commas; lists are `[a,b]`; spaces around names and values
/// are ignored, and so are empty list items. A list item with a comma, a bracket or spaces at its
/// ends is written in double quotes, where a quote is doubled: `["fc[12]{1,2}:0.9",fc3:0.5]`.
/// Fields left out keep their defaults, ranges are not looked at.
///
/// # Errors
/// [`Error::Argument`] for an unknown name (with the nearest known one), a name given twice, an
/// entry without `=`, a bracket or quote without its partner, or a value of the wrong type.
impl FromStr for PruningSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut spec = Self::default();
        let mut seen = Vec::new();
        if text.trim().is_empty() {
            return Ok(spec);
        }
        for (position, entry) in lists::entries(text)? {
            let Some((name, value)) = entry.split_once('=') else {
                return Err(malformed(format!(
                    "entry `{}` at character {position} has no `=`; write name=value",
                    entry.trim()
                )));
            };
            let (name, value) = (name.trim(), value.trim());
            // Later upstream's name.
            let name = if name == "prune_option" { "score" } else { name };
            let field = FIELDS.iter().find(|f| f.name == name).ok_or_else(|| unknown(name))?;
            if seen.contains(&field.name) {
                let message = format!("`{name}` is given a second time at character {position}");
                return Err(malformed(message));
            }
            seen.push(field.name);
            (field.read)(&mut spec, value).map_err(|wrong| Error::argument(name, wrong))?;
        }
        Ok(spec)
    }
}

/// Writes the fields that differ from the defaults; what it writes for a valid spec reads back as
/// the same spec, empty entries of lists left out, unless its score is one of the user's own.
impl fmt::Display for PruningSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = Self::default();
        let mut comma = "";
        for field in FIELDS {
            let value = (field.write)(self);
            if value != (field.write)(&default) {
                write!(f, "{comma}{}={value}", field.name)?;
                comma = ",";
            }
        }
        Ok(())
    }
}

/// A field of the specification in the string form.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) read: fn(&mut PruningSpec, &str) -> Result<(), String>,
    pub(super) write: fn(&PruningSpec) -> String,
}

/// A field type in the string form; `read` fails with the text and what is wrong with it.
pub(super) trait Value: Sized {
    fn read(text: &str) -> Result<Self, String>;
    fn write(&self) -> String;
}

macro_rules! numbers {
    ($($type:ty: $ok:expr, $wanted:expr;)*) => {$(
        impl Value for $type {
            fn read(text: &str) -> Result<Self, String> {
                text.parse().ok().filter($ok).ok_or_else(|| format!("{text}: must be {}", $wanted))
            }
            fn write(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
numbers! {
    u32: |_| true, format_args!("a whole number from 0 to {}", u32::MAX);
    u64: |_| true, format_args!("a whole number from 0 to {}", u64::MAX);
    i64: |_| true, format_args!("a whole number from {} to {}", i64::MIN, i64::MAX);
    f64: |x: &f64| x.is_finite(), "a finite number";
}

impl Value for bool {
    fn read(text: &str) -> Result<Self, String> {
        match text {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(format!("{text}: must be true, false, 1 or 0")),
        }
    }
    fn write(&self) -> String {
        self.to_string()
    }
}

impl Value for String {
    fn read(text: &str) -> Result<Self, String> {
        if text.contains('[') {
            Err(format!("{text}: must be one value, not a list"))
        } else {
            Ok(text.into())
        }
    }
    fn write(&self) -> String {
        self.clone()
    }
}

/// `none`, or a value.
impl<T: Optional> Value for Option<T> {
    fn read(text: &str) -> Result<Self, String> {
        if text == "none" { Ok(None) } else { T::read(text).map(Some) }
    }
    fn write(&self) -> String {
        self.as_ref().map_or_else(|| "none".into(), T::write)
    }
}

trait Optional: Value {}
impl Optional for f64 {}
impl Optional for u64 {}

impl<T: Item> Value for Vec<T> {
    fn read(text: &str) -> Result<Self, String> {
        lists::items(text)?
            .iter()
            .map(|item| item.parse())
            .collect::<Result<_, T::Err>>()
            .map_err(|wrong| wrong.to_string())
    }
    fn write(&self) -> String {
        let items = self.iter().map(T::to_string).filter(|item| !item.is_empty());
        let items: Vec<_> = items.map(|item| lists::quoted(&item)).collect();
        format!("[{}]", items.join(","))
    }
}

/// What stands in lists.
trait Item: FromStr<Err: fmt::Display> + fmt::Display {}
impl Item for String {}
impl Item for TensorTarget {}
impl Item for Group {}
impl Item for BlockDims {}

/// Enums take their names from serde, so that strings and files agree.
trait Choice: Serialize + DeserializeOwned {}
impl Choice for Threshold {}
impl Choice for Pruned {}
impl Choice for BlockPooling {}
impl Choice for Budget {}
impl Choice for Pattern {}
impl Choice for Regrow {}
impl Choice for Schedule {}
impl Choice for Scope {}
impl Choice for Score {}

impl<T: Choice> Value for T {
    fn read(text: &str) -> Result<Self, String> {
        T::deserialize(text.into_deserializer()).map_err(|e: ChoiceError| format!("{text}: {e}"))
    }
    fn write(&self) -> String {
        ChoiceName(self).to_string()
    }
}

struct ChoiceName<'a, T>(&'a T);

impl<T: Choice> fmt::Display for ChoiceName<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}

pub(super) fn malformed(message: String) -> Error {
    Error::argument("pruning", message)
}

/// Suggests the nearest field name within one edit per three letters, else lists them all.
fn unknown(name: &str) -> Error {
    let distance = |f: &&Field| strsim::damerau_levenshtein(f.name, name);
    let nearest = FIELDS.iter().min_by_key(distance);
    let advice = match nearest.filter(|f| distance(f) <= f.name.len().div_ceil(3)) {
        Some(field) => format!("did you mean `{}`?", field.name),
        None => {
            let names: Vec<_> = FIELDS.iter().map(|f| f.name).collect();
            format!("known are {}", names.join(", "))
        }
    };
    malformed(format!("unknown name `{name}`; {advice}"))
}
