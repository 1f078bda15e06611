//! `channel`: whole output units, which are blocks of all rows and one column.
use super::{Structure, blocks};

pub(super) const NAME: &str = "channel";

/// The units of the last layer are the classes.
pub(super) const LAST_TARGET: Option<f64> = Some(0.0);

pub(super) fn on(rows: u32, columns: u32) -> Structure {
    blocks::on(rows, columns, [-1, 1])
}
