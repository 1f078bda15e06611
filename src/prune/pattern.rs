//! The shapes that masks may be made of.
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::kernels::Blocks;

/// What is kept or pruned as one. As text: `element`, `2:4`, `channel`; blocks are asked for by
/// `block_height` and `block_width`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Pattern {
    /// Each weight, or each block where blocks are asked for.
    #[default]
    Element,
    /// Of every `m` weights along the axis that a product sums over, `n` are left at the target
    /// sparsity, which must be `1 - n / m`; on the way there are more.
    Nm {
        /// Weights of a group that are left, below `m`.
        n: u32,
        /// Size of a group, at most 32.
        m: u32,
    },
    /// Whole output units (columns), by the mean or maximum of their weights. The last layer, whose
    /// units are the classes, stays dense unless it has a target of its own.
    Channel,
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "element" => return Ok(Self::Element),
            "channel" => return Ok(Self::Channel),
            _ => {}
        }
        let number = |text: &str| text.trim().parse::<u32>().ok();
        text.split_once(':')
            .and_then(|(n, m)| Some(Self::Nm { n: number(n)?, m: number(m)? }))
            .ok_or_else(|| format!("`{text}` must be element, channel or N:M, like 2:4"))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element => f.write_str("element"),
            Self::Nm { n, m } => write!(f, "{n}:{m}"),
            Self::Channel => f.write_str("channel"),
        }
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.to_string()
    }
}

/// A pattern on one matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Structure {
    Element,
    Blocks(Blocks),
    Nm { m: u32 },
}

impl Structure {
    /// `[height, width]` blocks, -1 for the whole extent, on a matrix.
    pub(super) fn blocks(rows: u32, columns: u32, [height, width]: [i64; 2]) -> Self {
        let extent = |wanted: i64, whole: u32| {
            u32::try_from(wanted).map_or(whole, |wanted| wanted.min(whole)).max(1)
        };
        let (height, width) = (extent(height, rows), extent(width, columns));
        match (height, width) {
            (1, 1) => Self::Element,
            _ => Self::Blocks(Blocks { rows, columns, height, width }),
        }
    }

    /// What is ranked of a matrix of `len` elements.
    pub(super) fn units(self, len: u32) -> u32 {
        match self {
            Self::Element | Self::Nm { .. } => len,
            Self::Blocks(blocks) => blocks.count(),
        }
    }
}
