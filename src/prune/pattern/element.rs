//! `element`: each weight is ranked, and the selection's mask is the tensor's.
use super::{Among, Form};

pub(super) const NAME: &str = "element";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::prune) struct Element;

impl Form for Element {
    fn among(&self) -> Among<'_> {
        Among::All
    }
}
