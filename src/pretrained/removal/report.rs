//! What was taken out.
use serde::Serialize;

use super::groups::Group;
use super::options::Kind;

/// What was taken out of a model.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RemoveReport {
    /// Each block, in order.
    pub blocks: Vec<BlockRemoved>,
    /// Perplexity of the smaller model on the windows that it was calibrated on, of a language model.
    pub calibration_perplexity: Option<f64>,
    /// Most bytes that were taken on the device at once.
    pub device_bytes: u64,
}

/// A block.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BlockRemoved {
    /// Its number, from 0 on.
    pub block: u32,
    /// Number of blocks.
    pub blocks: u32,
    /// What the names of its tensors begin with.
    pub name: String,
    /// What stays.
    pub kept: Vec<UnitsKept>,
    /// How far its output on the first row is from that of the whole block on the same input: the
    /// squared length of the difference over that of the whole block's; none without data.
    pub error: Option<f64>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// The heads of a block, or the channels between two of its products.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnitsKept {
    /// Which of the two.
    pub kind: Kind,
    /// How many there were: of queries, where they are heads.
    pub of: u32,
    /// Those that stay, by their places among them.
    pub kept: Vec<u32>,
}

impl UnitsKept {
    /// The units of `group` that stay.
    pub(super) fn new(group: &Group, stays: &[bool]) -> Self {
        let each = group.each;
        let kept = (0..group.units).filter(|&unit| stays[unit as usize]);
        let kept = kept.flat_map(|unit| unit * each..(unit + 1) * each).collect();
        Self { kind: group.kind, of: group.units * each, kept }
    }
}
