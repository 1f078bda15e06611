//! What a pruning in one shot left.
use std::collections::BTreeMap;

use serde::Serialize;

use super::survey::{Fate, Survey, TensorPlan};
use crate::prune::Role;
use crate::storage::Companions;

/// What became of the tensors.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Share of zeros over the tensors that were pruned.
    pub sparsity: f64,
    /// The same over all tensors; of those whose zeros cannot be counted none are.
    pub whole_sparsity: f64,
    /// Every tensor.
    pub tensors: Vec<TensorReport>,
    /// The names of what was not pruned, by what it was taken for.
    pub dense: BTreeMap<Role, Vec<String>>,
    /// The names of the weights that the pattern leaves dense: [`Fate::Skipped`].
    pub skipped: Vec<String>,
    /// [`Survey::warnings`]
    pub warnings: Vec<String>,
    /// What became of the files beside the weights, where the output is a folder.
    pub files: Companions,
}

impl Report {
    /// What became of the tensors of `survey`, by `after` in their order: how many values of each
    /// are not zero, where that can be told, and the threshold of those that were pruned. `files`
    /// are those beside the weights.
    pub fn new(survey: Survey, after: &[(Option<u64>, Option<f32>)], files: Companions) -> Self {
        let share = |[zeros, len]: [u64; 2]| zeros as f64 / len.max(1) as f64;
        let (mut pruned, mut all) = ([0, 0], [0, 0]);
        let (dense, warnings) = (survey.dense(), survey.warnings);
        let skipped = survey.tensors.iter().filter(|t| t.fate == Fate::Skipped);
        let skipped = skipped.map(|t| t.name.clone()).collect();
        let report = |(plan, &(nonzero, threshold)): (TensorPlan, &(Option<u64>, Option<f32>))| {
            let len = plan.shape.iter().map(|&d| d as u64).product();
            // What cannot be counted is taken for other than zero.
            let zeros = [nonzero.map_or(0, |nonzero| len - nonzero.min(len)), len];
            let sums = if plan.fate == Fate::Pruned {
                vec![&mut pruned, &mut all]
            } else {
                vec![&mut all]
            };
            sums.into_iter().for_each(|sum| *sum = [sum[0] + zeros[0], sum[1] + zeros[1]]);
            TensorReport { plan, sparsity: nonzero.map(|_| share(zeros)), nonzero, threshold }
        };
        let tensors = survey.tensors.into_iter().zip(after).map(report).collect();
        Self {
            sparsity: share(pruned),
            whole_sparsity: share(all),
            tensors,
            dense,
            skipped,
            warnings,
            files,
        }
    }
}

/// One tensor of the output.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TensorReport {
    /// What it was taken for.
    #[serde(flatten)]
    pub plan: TensorPlan,
    /// Share of zeros, counted in what was written; none where the type's zeros are not known.
    pub sparsity: Option<f64>,
    /// Elements that are not zero; none likewise.
    pub nonzero: Option<u64>,
    /// Highest |w| that was pruned; none for a tensor that was not.
    pub threshold: Option<f32>,
}
