//! How ranks train together.
use serde::{Deserialize, Serialize};

use crate::settings::steps;
use crate::{Error, Result};

/// Which gradients travel between ranks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carried {
    /// All of them.
    #[default]
    All,
    /// Those of weights that are not pruned: the same results, and a tenth of the bytes at a
    /// sparsity of 90 %.
    Kept,
}

steps! {
    /// Synchronous replicas, as upstream's `SyncReplicasOptimizer`: one update by the mean of
    /// several gradients.
    #[derive(Debug, Clone, Default, PartialEq, Eq)]
    pub struct SyncReplicas {
        /// Gradients that make an update, each on a batch; `None` is one of each rank. With fewer
        /// than there are ranks the first ones count, and later ones are dropped; with more, which
        /// must be a multiple, each rank gives several.
        pub replicas_to_aggregate: Option<usize>,
        /// Ranks that the run is meant for; another number is an error. `None` takes any.
        pub total_num_replicas: Option<usize>,
        /// Which gradients travel.
        pub carried: Carried,
        /// Compares a checksum of every tensor among the ranks after so many steps, besides the
        /// start and the end; `None` is 1,000, and 0 never.
        pub check_every_n_steps: Option<u64>,
    }
}

impl SyncReplicas {
    /// Gradients that make an update of `ranks` ranks.
    ///
    /// # Errors
    /// [`Error::Argument`] for numbers that do not fit that many ranks.
    pub fn aggregate(&self, ranks: usize) -> Result<usize> {
        if let Some(total) = self.total_num_replicas.filter(|&total| total != ranks) {
            let message = format!("{total} replicas are meant to train, and {ranks} do");
            return Err(Error::argument("total_num_replicas", message));
        }
        let gradients = self.replicas_to_aggregate.unwrap_or(ranks);
        if gradients == 0 || (gradients > ranks && !gradients.is_multiple_of(ranks)) {
            let message = format!(
                "{gradients} gradients an update do not fit {ranks} ranks; use 1 to {ranks}, or a \
                 multiple of {ranks}"
            );
            return Err(Error::argument("replicas_to_aggregate", message));
        }
        Ok(gradients)
    }
}
