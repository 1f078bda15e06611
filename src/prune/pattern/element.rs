//! `element`: each weight is ranked, and the selection's mask is the tensor's; or each block, where
//! blocks are asked for.
use std::fmt;

use super::{Among, Form, Kind, Pattern, Structure, Written, blocks};
use crate::Result;
use crate::kernels::Units;
use crate::prune::PruningSpec;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::prune) struct Element;

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::SAID)
    }
}

impl Written for Element {
    const SAID: &'static str = "element";

    fn parse(text: &str) -> Option<Pattern> {
        (text == Self::SAID).then_some(Pattern::Element)
    }
}

impl Kind for Element {
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
        false
    }

    fn check_files(&self) -> Result<()> {
        Ok(())
    }

    fn check(&self, _: &PruningSpec) -> Result<()> {
        Ok(())
    }

    fn last_target(&self) -> Option<f64> {
        None
    }

    fn on(&self, blocks: [i64; 2], matrix: Units) -> Structure {
        blocks::on(matrix, blocks)
    }
}

impl Form for Element {
    fn among(&self) -> Among<'_> {
        Among::All
    }
}
