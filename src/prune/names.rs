//! Settings that name tensors: `regex:target` and `name:regex`.
use regex::Regex;

use super::spec::PruningSpec;
use crate::{Error, Result};

impl PruningSpec {
    /// The entries of `weight_sparsity_map` with their targets.
    pub(super) fn weight_sparsity_map(&self) -> impl Iterator<Item = Result<(NameRegex<'_>, f64)>> {
        let field = "weight_sparsity_map";
        entries(&self.weight_sparsity_map).map(move |entry| {
            let wrong = || Error::argument(field, format!("{entry}: must be regex:target"));
            // The target is behind the last colon; the expression may have some of its own.
            let (pattern, target) = entry.rsplit_once(':').ok_or_else(wrong)?;
            let target = target.trim().parse().map_err(|_| wrong())?;
            Ok((NameRegex::new(field, entry, pattern)?, target))
        })
    }

    /// The entries of `block_dims_map` with height and width, -1 for the whole extent.
    pub(super) fn block_dims_map(&self) -> impl Iterator<Item = Result<(NameRegex<'_>, [i64; 2])>> {
        let field = "block_dims_map";
        entries(&self.block_dims_map).map(move |entry| {
            let wrong = || Error::argument(field, format!("{entry}: must be regex:HxW"));
            let (pattern, dims) = entry.rsplit_once(':').ok_or_else(wrong)?;
            let (height, width) = dims.split_once('x').ok_or_else(wrong)?;
            let number = |text: &str| text.trim().parse().map_err(|_| wrong());
            Ok((NameRegex::new(field, entry, pattern)?, [number(height)?, number(width)?]))
        })
    }

    /// The groups, by name.
    pub(super) fn groups(&self) -> impl Iterator<Item = Result<(&str, NameRegex<'_>)>> {
        entries(&self.groups).map(|entry| {
            let (name, pattern) = entry
                .split_once(':')
                .ok_or_else(|| Error::argument("groups", format!("{entry}: must be name:regex")))?;
            Ok((name.trim(), NameRegex::new("groups", entry, pattern)?))
        })
    }
}

fn entries(list: &[String]) -> impl Iterator<Item = &str> {
    list.iter().map(|entry| entry.trim()).filter(|entry| !entry.is_empty())
}

/// A regular expression of a setting, found anywhere in a name.
#[derive(Debug, Clone)]
pub(super) struct NameRegex<'s> {
    field: &'static str,
    entry: &'s str,
    regex: Regex,
}

impl<'s> NameRegex<'s> {
    fn new(field: &'static str, entry: &'s str, pattern: &str) -> Result<Self> {
        let regex = Regex::new(pattern.trim())
            .map_err(|e| Error::argument(field, format!("{entry}: {e}")))?;
        Ok(Self { field, entry, regex })
    }

    pub(super) fn is_match(&self, name: &str) -> bool {
        self.regex.is_match(name)
    }

    /// # Errors
    /// [`Error::Argument`] when it matches none of `names`: most likely it is misspelt.
    pub(super) fn check_matches(&self, names: &[&str]) -> Result<()> {
        if names.iter().any(|name| self.is_match(name)) {
            return Ok(());
        }
        let message = format!("{}: matches none of {}", self.entry, names.join(", "));
        Err(Error::argument(self.field, message))
    }
}

impl std::fmt::Display for NameRegex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.entry)
    }
}
