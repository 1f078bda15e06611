//! What is taken out of a pretrained model, and how much of it.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::settings::{Share, Value};
use crate::{Error, Result};

/// What can be taken out of every block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// Heads of attention: of keys and values, each with all queries that share it.
    Heads,
    /// Channels between two products: of a feed-forward layer, or between two convolutions.
    Channels,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Heads, Self::Channels];

    /// What options and files call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Heads => "heads",
            Self::Channels => "channels",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many units of each block are taken out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Amount {
    /// This share of them, above 0 and below 1.
    Share(f64),
    /// So many of them, from 1 on.
    Number(u32),
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => share.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

crate::settings::steps! {
    /// Settings of [`Pretrained::removal`](crate::pretrained::Pretrained::removal).
    #[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
    pub struct RemoveOptions {
        /// Heads of queries of each block.
        pub heads: Option<Amount>,
        /// Channels of each feed-forward layer, or between two convolutions.
        pub channels: Option<Amount>,
        /// Where a share of the channels is taken out, what stays is a multiple of this. Left out
        /// it is the largest power of two up to 32 that divides the channels and is no more than a
        /// sixteenth of them.
        pub multiple: Option<u32>,
    }
}

impl RemoveOptions {
    /// How much of `kind` is taken out.
    pub fn amount(&self, kind: Kind) -> Option<Amount> {
        match kind {
            Kind::Heads => self.heads,
            Kind::Channels => self.channels,
        }
    }

    /// # Errors
    /// [`Error::Argument`] where nothing is taken out, for a share that is not above 0 and below 1,
    /// and for a number or multiple of 0.
    pub(super) fn validate(&self) -> Result<()> {
        let wrong = |name: &str, message: String| Err(Error::argument(name, message));
        for kind in Kind::ALL {
            match self.amount(kind) {
                Some(Amount::Share(share)) if !(share > 0.0 && share < 1.0) => {
                    let message = format!("{share} must be above 0 and below 1");
                    return wrong(kind.name(), message);
                }
                Some(Amount::Number(0)) => {
                    return wrong(kind.name(), "0 of them leave all as it is".to_owned());
                }
                _ => {}
            }
        }
        match self.multiple {
            Some(0) => return wrong("multiple", "0 must be 1 or more".to_owned()),
            Some(multiple) if !matches!(self.channels, Some(Amount::Share(_))) => {
                let message = format!("{multiple} is for a share of the channels, like 0.25");
                return wrong("multiple", message);
            }
            _ => {}
        }
        if Kind::ALL.iter().all(|&kind| self.amount(kind).is_none()) {
            return wrong("remove", "says nothing; name heads, channels or both".to_owned());
        }
        Ok(())
    }
}

impl FromStr for RemoveOptions {
    type Err = Error;

    /// Reads `heads=0.25,channels=512`: shares have a point or a percent sign, numbers none.
    fn from_str(text: &str) -> Result<Self> {
        let mut options = Self::default();
        let wrong = |what: &str, message: &str| {
            Err(Error::argument("remove", format!("`{what}`: {message}")))
        };
        for part in text.split(',') {
            let Some((name, amount)) = part.split_once('=') else {
                return wrong(part, "must be like heads=0.25 or channels=512");
            };
            let field = match name.trim() {
                "heads" => &mut options.heads,
                "channels" => &mut options.channels,
                _ => return wrong(part, "known are heads and channels"),
            };
            let amount = match amount.trim() {
                number if number.bytes().all(|b| b.is_ascii_digit()) => {
                    number.parse().ok().map(Amount::Number)
                }
                share => {
                    let mut value = Share(0.0);
                    value.set(share).ok().map(|()| Amount::Share(value.0))
                }
            };
            let Some(amount) = amount else {
                return wrong(part, "must be a share above 0 and below 1, or a whole number");
            };
            if field.replace(amount).is_some() {
                return wrong(part, "is given twice");
            }
        }
        options.validate()?;
        Ok(options)
    }
}
