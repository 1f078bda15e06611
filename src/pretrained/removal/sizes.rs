//! How many units stay, and what the settings say of that.
use serde::Serialize;

use super::groups::Group;
use super::options::{Amount, Kind, RemoveOptions};
use crate::pretrained::architectures::Settings;
use crate::pretrained::model::Pretrained;
use crate::{Error, Result};

/// Most places that a share of channels is rounded to by itself.
const MULTIPLE: u32 = 32;
/// As many of them at least there are in all channels.
const MULTIPLES: u32 = 16;

/// What becomes of the units of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Size {
    /// Heads or channels.
    pub kind: Kind,
    /// Of heads how many queries share one of keys and values, which go with it; else 1.
    pub shared: u32,
    /// How many a block has: of keys and values, where they are heads. The narrowest one where
    /// blocks differ.
    pub of: u32,
    /// How many of them stay. Where blocks differ, each keeps the same share.
    pub kept: u32,
}

impl Size {
    /// How many stay of `units`, the number that a block has.
    pub(crate) fn kept_of(self, units: u32) -> u32 {
        units / self.of * self.kept
    }
}

/// The sizes that `options` ask for of these groups, the `(block, group)` of the whole model.
pub(super) fn sizes(
    model: &Pretrained,
    options: &RemoveOptions,
    groups: &[&Group],
) -> Result<Vec<Size>> {
    let mut sizes = Vec::new();
    for kind in Kind::ALL {
        let Some(amount) = options.amount(kind) else { continue };
        let wrong = |message: String| Err(Error::argument(kind.name(), message));
        let of_kind = || groups.iter().filter(|group| group.kind == kind);
        let Some(narrowest) = of_kind().min_by_key(|group| group.units) else {
            let path = model.path().display();
            return wrong(format!("the blocks of {path} have none that can be taken out"));
        };
        let (of, shared) = (narrowest.units, narrowest.each);
        // What no size can be said of says so before this one is looked at.
        say(model, &mut model.config().settings().clone(), kind, of * shared)?;
        let other = of_kind().find(|g| g.units % of != 0 || g.each != shared);
        if let Some(other) = other {
            return wrong(format!("blocks have {of} and {}, no multiples", other.units));
        }
        let kept = match amount {
            Amount::Share(share) => {
                let multiple = match kind {
                    Kind::Heads => 1,
                    Kind::Channels => options.multiple.unwrap_or_else(|| multiple(of)),
                };
                let kept = (f64::from(of) * (1.0 - share) / f64::from(multiple)).round() as u32;
                let kept = kept.saturating_mul(multiple);
                if kept == 0 || kept >= of {
                    let what = if kept == 0 { "none would stay" } else { "all would stay" };
                    let units = match (kind, shared) {
                        (Kind::Heads, 2..) => format!("{of} heads of keys, which go as a whole"),
                        (Kind::Heads, _) => format!("{of} heads"),
                        _ => format!("{of} channels in multiples of {multiple}"),
                    };
                    let way = if kept == 0 { "smaller" } else { "larger" };
                    return wrong(format!("{share} of {units}: {what}; take a {way} share"));
                }
                kept
            }
            Amount::Number(number) => {
                if let Some(wider) = of_kind().find(|group| group.units != of) {
                    let wider = wider.units;
                    return wrong(format!("blocks have {of} to {wider} of them; take a share"));
                }
                if number % shared != 0 {
                    return wrong(format!(
                        "{number}: {shared} share one of keys and values and go with it; take a \
                         multiple of {shared}"
                    ));
                }
                let number = number / shared;
                if number >= of {
                    let (number, of) = (number * shared, of * shared);
                    return wrong(format!("{number} of the {of} of a block; one must stay"));
                }
                of - number
            }
        };
        sizes.push(Size { kind, shared, of, kept });
    }
    Ok(sizes)
}

/// The largest power of two up to [`MULTIPLE`] of which `units` are a multiple, and many times it.
fn multiple(units: u32) -> u32 {
    let fits = |m: &u32| units.is_multiple_of(*m) && units / m >= MULTIPLES;
    let powers = (0..=MULTIPLE.ilog2()).rev().map(|n| 1 << n);
    powers.into_iter().find(fits).unwrap_or(1)
}

/// The settings of the model with these sizes.
pub(super) fn settings(model: &Pretrained, sizes: &[Size]) -> Result<Settings> {
    let mut settings = model.config().settings().clone();
    for size in sizes {
        say(model, &mut settings, size.kind, size.kept * size.shared)?;
    }
    Ok(settings)
}

/// Says in `settings` that blocks have so many of `kind`.
fn say(model: &Pretrained, settings: &mut Settings, kind: Kind, number: u32) -> Result<()> {
    model.architecture().resize(settings, kind, number).map_err(|why| {
        let path = model.config().path().display();
        Error::argument(kind.name(), format!("{path} cannot say {number} of them: {why}"))
    })
}
