//! `channel`: whole output units, which are blocks of all rows and one column.
use std::fmt;

use super::{Kind, Pattern, Structure, Written, blocks};
use crate::kernels::{Layout, Units};
use crate::prune::PruningSpec;
use crate::{Error, Result};

pub(super) struct Channel;

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::SAID)
    }
}

impl Written for Channel {
    const SAID: &'static str = "channel";

    fn parse(text: &str) -> Option<Pattern> {
        (text == Self::SAID).then_some(Pattern::Channel)
    }
}

impl Kind for Channel {
    fn sparsity(&self) -> Result<Option<f64>> {
        Ok(None)
    }

    fn groups(&self) -> Option<[u32; 2]> {
        None
    }

    fn vectors(&self) -> Option<[u32; 3]> {
        None
    }

    fn pools(&self) -> bool {
        true
    }

    fn check_files(&self) -> Result<()> {
        let message = "channel: a file does not say what reads its channels";
        Err(Error::argument("pattern", message))
    }

    fn check(&self, _: &PruningSpec) -> Result<()> {
        Ok(())
    }

    /// The units of the last layer are the classes.
    fn last_target(&self) -> Option<f64> {
        Some(0.0)
    }

    fn on(&self, _: [i64; 2], matrix: Units) -> Structure {
        let unit = match matrix.layout {
            Layout::InOut => [-1, 1],
            Layout::OutIn => [1, -1],
        };
        blocks::on(matrix, unit)
    }
}
