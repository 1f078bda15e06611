//! Settings of single tensors. In files and strings an entry is a text as upstream has it, or in
//! files a table of its fields.
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeOwned, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::spec::PruningSpec;
use super::tensor_pattern::TensorPattern;
use crate::{Error, Result};

/// A target of single tensors: as text `regex:target`, as a table
/// `{ tensors = "regex", sparsity = target }`.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields, transform = text_too))]
#[non_exhaustive]
pub struct TensorTarget {
    /// Which tensors.
    pub tensors: TensorPattern,
    /// Where they go, 0 to 1.
    pub sparsity: f64,
}

impl TensorTarget {
    /// The tensors that `tensors` is found in go to `sparsity`.
    pub fn new(tensors: impl Into<TensorPattern>, sparsity: f64) -> Self {
        Self { tensors: tensors.into(), sparsity }
    }
}

/// Tensors that are ranked together: as text `name:regex`, as a table
/// `{ name = "name", tensors = "regex" }`. Several entries may add to one group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields, transform = text_too))]
#[non_exhaustive]
pub struct Group {
    /// What the group is called, without `:` or a space at its ends.
    pub name: String,
    /// Which tensors it has.
    pub tensors: TensorPattern,
}

impl Group {
    /// The tensors that `tensors` is found in are of the group `name`.
    pub fn new(name: impl Into<String>, tensors: impl Into<TensorPattern>) -> Self {
        Self { name: name.into(), tensors: tensors.into() }
    }
}

/// Blocks of single tensors: as text `regex:HxW`, as a table
/// `{ tensors = "regex", height = H, width = W }`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(deny_unknown_fields, transform = text_too))]
#[non_exhaustive]
pub struct BlockDims {
    /// Which tensors.
    pub tensors: TensorPattern,
    /// Rows of a block; -1 = all rows.
    pub height: i64,
    /// Columns of a block; -1 = all columns.
    pub width: i64,
}

impl BlockDims {
    /// The tensors that `tensors` is found in have blocks of `[height, width]`.
    pub fn new(tensors: impl Into<TensorPattern>, [height, width]: [i64; 2]) -> Self {
        Self { tensors: tensors.into(), height, width }
    }
}

impl<P: Into<TensorPattern>> From<(P, f64)> for TensorTarget {
    fn from((tensors, sparsity): (P, f64)) -> Self {
        Self::new(tensors, sparsity)
    }
}

impl<N: Into<String>, P: Into<TensorPattern>> From<(N, P)> for Group {
    fn from((name, tensors): (N, P)) -> Self {
        Self::new(name, tensors)
    }
}

impl<P: Into<TensorPattern>> From<(P, [i64; 2])> for BlockDims {
    fn from((tensors, dims): (P, [i64; 2])) -> Self {
        Self::new(tensors, dims)
    }
}

impl fmt::Display for TensorTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.tensors, self.sparsity)
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.tensors)
    }
}

impl fmt::Display for BlockDims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}x{}", self.tensors, self.height, self.width)
    }
}

impl FromStr for TensorTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The target is behind the last colon; the expression may have some of its own.
        let parts = text.rsplit_once(':');
        let target = parts.and_then(|(tensors, t)| Some((tensors, t.trim().parse().ok()?)));
        target.map(Into::into).ok_or_else(|| wrong::<Self>(text))
    }
}

impl FromStr for Group {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':');
        parts
            .map(|(name, tensors)| (name.trim(), tensors).into())
            .ok_or_else(|| wrong::<Self>(text))
    }
}

impl FromStr for BlockDims {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.trim().parse::<i64>().ok();
        let dims = |text: &str| {
            let (height, width) = text.split_once('x')?;
            Some([number(height)?, number(width)?])
        };
        let parts = text.rsplit_once(':');
        let parts = parts.and_then(|(tensors, text)| Some((tensors, dims(text)?)));
        parts.map(Into::into).ok_or_else(|| wrong::<Self>(text))
    }
}

fn wrong<T: Entry>(text: &str) -> String {
    format!("{}: must be {}", text.trim(), T::FORM)
}

/// An entry of a list of settings.
pub(super) trait Entry: fmt::Display {
    /// Its field in the specification.
    const FIELD: &'static str;
    /// How it is written.
    const FORM: &'static str;

    fn tensors(&self) -> &TensorPattern;
}

/// Of each of `names` the place of the one entry that matches it.
///
/// # Errors
/// [`Error::Argument`] when an entry matches none of `names`, which most likely is misspelt, and
/// when two match one: which of them counts would be a guess.
pub(super) fn matches<T: Entry>(entries: &[T], names: &[&str]) -> Result<Vec<Option<usize>>> {
    let mut found: Vec<Option<usize>> = vec![None; names.len()];
    for (place, entry) in entries.iter().enumerate() {
        entry.tensors().check(T::FIELD, entry)?;
        if !names.iter().any(|name| entry.tensors().is_match(name)) {
            let message = format!("{entry}: matches none of {}", names.join(", "));
            return Err(Error::argument(T::FIELD, message));
        }
        let matched = names.iter().zip(&mut found);
        for (name, found) in matched.filter(|(name, _)| entry.tensors().is_match(name)) {
            if let Some(first) = found.replace(place) {
                let first = &entries[first];
                let message = format!("{name} is matched by `{first}` and by `{entry}`");
                return Err(Error::argument(T::FIELD, message));
            }
        }
    }
    Ok(found)
}

impl PruningSpec {
    /// Checks the entries of all three lists.
    pub(super) fn validate_entries(&self) -> Result<()> {
        fn check<T: Entry>(entries: &[T], ok: impl Fn(&T) -> bool, range: &str) -> Result<()> {
            entries.iter().try_for_each(|entry| {
                entry.tensors().check(T::FIELD, entry)?;
                let message = || format!("{entry}: must be {}{range}", T::FORM);
                if ok(entry) { Ok(()) } else { Err(Error::argument(T::FIELD, message())) }
            })
        }
        let block = |n: i64| n == -1 || n >= 1;
        let in_range = |t: &TensorTarget| (0.0..=1.0).contains(&t.sparsity);
        check(&self.weight_sparsity_map, in_range, ", the target in 0 to 1")?;
        let dims = |b: &BlockDims| block(b.height) && block(b.width);
        check(&self.block_dims_map, dims, ", each -1 or at least 1")?;
        let named = |g: &Group| g.name.trim() == g.name && !g.name.contains(':');
        check(&self.groups, named, ", no space at the name's ends and no colon in it")
    }
}

/// Each with its fields as a file's table has them.
macro_rules! entries {
    ($($entry:ident { $($name:ident: $type:ty),* } of $field:literal as $form:literal;)*) => {$(
        impl Entry for $entry {
            const FIELD: &'static str = $field;
            const FORM: &'static str = $form;

            fn tensors(&self) -> &TensorPattern {
                &self.tensors
            }
        }

        impl Serialize for $entry {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $entry {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                #[derive(Deserialize)]
                #[serde(deny_unknown_fields)]
                struct Table {
                    $($name: $type,)*
                }
                let table = |Table { $($name),* }| Self { $($name),* };
                deserializer.deserialize_any(TextOr(table, PhantomData))
            }
        }
    )*};
}

entries! {
    TensorTarget { tensors: TensorPattern, sparsity: f64 } of "weight_sparsity_map" as "regex:target";
    Group { name: String, tensors: TensorPattern } of "groups" as "name:regex";
    BlockDims { tensors: TensorPattern, height: i64, width: i64 } of "block_dims_map" as "regex:HxW";
}

/// In files an entry may be a text; an empty one is left out.
#[cfg(feature = "schema")]
fn text_too(entry: &mut schemars::Schema) {
    let description = entry.remove("description");
    let table = std::mem::take(entry.ensure_object());
    *entry = schemars::json_schema!({ "description": description, "anyOf": [{ "type": "string" }, table] });
}

/// Reads a text, or a table that the function makes an entry of.
struct TextOr<F, Table>(F, PhantomData<Table>);

impl<'de, T, Table, F> Visitor<'de> for TextOr<F, Table>
where
    T: Entry + FromStr<Err = String>,
    Table: DeserializeOwned,
    F: FnOnce(Table) -> T,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text {}, or a table", T::FORM)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(|wrong| E::custom(format_args!("`{}`: {wrong}", T::FIELD)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        Table::deserialize(MapAccessDeserializer::new(map)).map(self.0)
    }
}

/// Reads a list, its empty texts left out.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let entries = Vec::<Filled<T>>::deserialize(deserializer)?;
    Ok(entries.into_iter().filter_map(|entry| entry.0).collect())
}

struct Filled<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Filled<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = Filled<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a table")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Filled<T>, E> {
                let filled =
                    (!text.trim().is_empty()).then(|| T::deserialize(text.into_deserializer()));
                filled.transpose().map(Filled)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Filled<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|entry| Filled(Some(entry)))
            }
        }

        deserializer.deserialize_any(Any(PhantomData))
    }
}
