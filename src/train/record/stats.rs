//! What the chief's summaries say of the ranks.
use std::collections::BTreeMap;

/// How the ranks are doing.
#[derive(Debug, Clone, Default)]
pub(in crate::train) struct RankStats {
    /// Of each rank, seconds of its last step in which it computed, and in which it waited.
    pub(in crate::train) seconds: Vec<[f64; 2]>,
    /// Gradients dropped so far, where any may be.
    pub(in crate::train) dropped: Option<u64>,
    /// How many gradients were how many updates behind, where they may be.
    pub(in crate::train) staleness: Option<BTreeMap<u64, u64>>,
}

impl RankStats {
    pub(in crate::train) fn new(ranks: usize) -> Self {
        Self { seconds: vec![[0.0; 2]; ranks], ..Self::default() }
    }
}
